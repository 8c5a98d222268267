(** C15. Projected gradient ascent with step 1/Lambda: gap_t <= (1 - mu/Lambda)^t gap_0.
    The projections exist, so the iteration can be carried out from every point of C. *)
Require Import Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
From Sail Require Import Sums Vectors Sigmoid Prompt C11_relative_curvature Ascent Problem Objectives C12_strong_concavity C13_pl.
Open Scope R_scope.

Section C15.
Variable P : problem.
Hypothesis VP : valid P.
Variable o : objective.
Hypothesis VO : valid_objective P o.
Variables K Km gamma : R.
Hypothesis HB : bounded P o K Km.
Hypothesis gamma_large : K < gamma.
Notation d := (dim P). Notation f := (total P (regularised P o gamma)). Notation grad := (gradient P (regularised P o gamma)).
Notation mu := (modulus P K gamma). Notation Lam := (smoothness P Km gamma).

(** From every theta there is a step, and it is determined. *)
Theorem C15_step_exists : forall th, exists y, projected_step d (in_C P) grad Lam th y /\
  forall y', projected_step d (in_C P) grad Lam th y' -> same d y y'.
Proof.
  intros th.
  destruct (projection_exists d (in_C P) (fun i => th i + / Lam * grad th i) (in_C_convex P) (in_C_closed P VP)) as [y [Hy [M U]]].
  { exists (center P); apply in_C_center. }
  exists y; split; [split; auto|]. intros y' [Hy' M']. now apply U.
Qed.

Theorem C15_general : forall (th : nat -> vec) q, in_C P (th O) -> in_C P q ->
  (forall k, projected_step d (in_C P) grad Lam (th k) (th (S k))) ->
  forall k, f q - f (th k) <= (1 - mu / Lam)^k * (f q - f (th O)).
Proof.
  intros th q H0 Hq St k. destruct (S_trivial_or P) as [T|N].
  - assert (CC : forall k, in_C P (th k)) by (destruct k0; [auto|apply (St k0)]).
    rewrite (f_same P o gamma q (th k)), (f_same P o gamma (th k) (th O)) by (apply S_trivial_one_point; auto). lra.
  - apply (projected_ascent d (in_C P) f grad mu (modulus_pos P VP K gamma gamma_large N) (in_C_convex P)); auto.
    + exact (C12_general P VP o VO K Km gamma HB gamma_large).
    + exact (modulus_le_smoothness P VP o K Km gamma HB gamma_large N).
    + exact (C12_smooth P VP o VO K Km gamma HB gamma_large N).
Qed.
End C15.

(** C15 for SAIL at gamma > K_B, against the maximiser over C. *)
Theorem C15 : forall P, valid P -> forall gamma, K_B (temperature P) (z_max P) < gamma ->
  exists best, maximiser (in_C P) (J_gamma P gamma) best /\
  forall th : nat -> vec, in_C P (th O) ->
    (forall k, projected_step (dim P) (in_C P) (gradient P (regularised P (sail P) gamma)) (sail_smoothness P gamma) (th k) (th (S k))) ->
  forall k, J_gamma P gamma best - J_gamma P gamma (th k)
    <= (1 - sail_modulus P gamma / sail_smoothness P gamma)^k * (J_gamma P gamma best - J_gamma P gamma (th O)).
Proof.
  intros P VP gamma Hg. pose proof (C11_on_C P VP) as HB. pose proof (sail_valid P VP) as VO.
  destruct (C13_maximiser P VP (sail P) VO _ _ gamma HB Hg) as [best [[Cb Mb] _]].
  exists best; split; [split; auto|]. intros th H0 St k.
  exact (C15_general P VP (sail P) VO _ _ gamma HB Hg th best H0 Cb St k).
Qed.
