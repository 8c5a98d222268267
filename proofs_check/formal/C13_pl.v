(** C13. Plain PL and prox-PL on C, against the maximum over C, which exists and is unique.
    Both hold with the constants of C12; on S = {0} every gap is 0 and they say nothing. *)
Require Import Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
From Sail Require Import Sums Vectors Sigmoid Prompt C11_relative_curvature Ascent Problem Objectives C12_strong_concavity.
Open Scope R_scope.

Section C13.
Variable P : problem.
Hypothesis VP : valid P.
Variable o : objective.
Hypothesis VO : valid_objective P o.
Variables K Km gamma : R.
Hypothesis HB : bounded P o K Km.
Hypothesis gamma_large : K < gamma.
Notation d := (dim P). Notation f := (total P (regularised P o gamma)). Notation grad := (gradient P (regularised P o gamma)).
Notation mu := (modulus P K gamma). Notation Lam := (smoothness P Km gamma).

Lemma f_same : forall a b, same d a b -> f a = f b.
Proof. intros a b H. now apply total_same. Qed.

(** The maximiser over C exists; any two are the same vector. *)
Theorem C13_maximiser : exists best, maximiser (in_C P) f best /\
  forall other, maximiser (in_C P) f other -> same d best other.
Proof.
  destruct (S_trivial_or P) as [T|N].
  - exists (center P); split; [split; [apply in_C_center|]|].
    + intros y Hy. apply Req_le, f_same, S_trivial_one_point; auto. apply in_C_center.
    + intros y [Hy _]. apply S_trivial_one_point; auto. apply in_C_center.
  - pose proof (modulus_pos P VP K gamma gamma_large N) as M.
    pose proof (C12_general P VP o VO K Km gamma HB gamma_large) as SC.
    destruct (maximiser_exists d (in_C P) f grad mu M (in_C_convex P) SC (in_C_closed P VP)) as [x Hx].
    { exists (center P); apply in_C_center. }
    exists x; split; auto. intros y Hy. exact (maximiser_unique d (in_C P) f grad mu M (in_C_convex P) SC x y Hx Hy).
Qed.

Theorem C13_plain : forall th y, in_C P th -> in_C P y -> 2 * mu * (f y - f th) <= norm2 d (grad th).
Proof.
  intros th y Hth Hy. destruct (S_trivial_or P) as [T|N].
  - rewrite (f_same y th) by (apply S_trivial_one_point; auto). rewrite Rminus_eq_0, Rmult_0_r. apply norm2_nonneg.
  - apply (plain_PL d (in_C P) f grad mu (modulus_pos P VP K gamma gamma_large N)); auto.
    exact (C12_general P VP o VO K Km gamma HB gamma_large).
Qed.

(** prox-PL: the model <grad, y - th> - (Lam/2)|y - th|^2 reaches mu/Lam of the gap on C. *)
Theorem C13_prox : forall th q, in_C P th -> in_C P q ->
  exists y, in_C P y /\ mu / Lam * (f q - f th) <= dot d (grad th) (vsub y th) - Lam / 2 * norm2 d (vsub y th).
Proof.
  intros th q Hth Hq. destruct (S_trivial_or P) as [T|N].
  - exists th; split; auto. rewrite (f_same q th) by (apply S_trivial_one_point; auto).
    assert (Z : same d (vsub th th) (fun _ => 0)) by (intros i Hi; unfold vsub; ring).
    assert (Z1 : dot d (grad th) (vsub th th) = 0) by (unfold dot; rewrite (Sum_ext d _ (fun _ => 0)); [apply Sum_0|intros; rewrite Z; auto; ring]).
    assert (Z2 : norm2 d (vsub th th) = 0) by (unfold norm2, dot; rewrite (Sum_ext d _ (fun _ => 0)); [apply Sum_0|intros; rewrite Z; auto; ring]).
    rewrite Z1, Z2; lra.
  - apply (prox_PL d (in_C P) f grad mu (modulus_pos P VP K gamma gamma_large N) (in_C_convex P)); auto.
    + exact (C12_general P VP o VO K Km gamma HB gamma_large).
    + exact (modulus_le_smoothness P VP o K Km gamma HB gamma_large N).
Qed.
End C13.

(** C13 for SAIL at gamma > K_B. *)
Theorem C13 : forall P, valid P -> forall gamma, K_B (temperature P) (z_max P) < gamma ->
  exists best, maximiser (in_C P) (J_gamma P gamma) best /\
  forall th, in_C P th ->
    2 * sail_modulus P gamma * (J_gamma P gamma best - J_gamma P gamma th)
      <= norm2 (dim P) (gradient P (regularised P (sail P) gamma) th) /\
    exists y, in_C P y /\ sail_modulus P gamma / sail_smoothness P gamma * (J_gamma P gamma best - J_gamma P gamma th)
      <= dot (dim P) (gradient P (regularised P (sail P) gamma) th) (vsub y th)
         - sail_smoothness P gamma / 2 * norm2 (dim P) (vsub y th).
Proof.
  intros P VP gamma Hg. pose proof (C11_on_C P VP) as HB. pose proof (sail_valid P VP) as VO.
  destruct (C13_maximiser P VP (sail P) VO _ _ gamma HB Hg) as [best [[Cb Mb] _]].
  exists best; split; [split; auto|]. intros th Hth; split.
  - exact (C13_plain P VP (sail P) VO _ _ gamma HB Hg th best Hth Cb).
  - exact (C13_prox P VP (sail P) VO _ _ gamma HB Hg th best Hth Cb).
Qed.
