(** The main theorems on one rational problem, their conclusions spelled out; Instances_each.v applies the others.
    Two prompts, d = 2, features along the two axes, one preference by matrix and one by rewards, beta = 1/10,
    B = 1, gamma = 1. *)
From Coq Require Import Reals QArith Qreals Lra Lia Psatz List.
From Coquelicot Require Import Coquelicot.
From Sail Require Import Numbers Sums Vectors Sigmoid Prompt C11_relative_curvature C03_reference_hessian C05_at_reference
  C07_kl_hessian C09_fisher_floor C16_stochastic_ascent C17_mirror_ascent C19_bias C20_price C23_reduction C25_data_dependent
  C29_online_dpo C30_reward C31_pass_rate C32_group_advantage C35_any_payoff C36_no_score_term
  Ascent Problem Objectives C12_strong_concavity C13_pl C15_projected_ascent Monotone Certificate Differentials.
Import ListNotations.
Open Scope R_scope.

Definition D : data := {|
  dim_q := 2; beta_q := 1 # 10; radius_q := 1; reference_q := [0; 0]%Q; center_q := [0; 0]%Q;
  prompts_q := [
    {| weight_q := 1; features_q := [[1; 0]; [0; 0]]%Q; base_q := [1; 3]%Q; preferences_q := Matrix [[1 # 2; 1]; [0; 1 # 2]]%Q |};
    {| weight_q := 2; features_q := [[0; 1]; [0; 0]; [0; 1 # 2]]%Q; base_q := [1; 1; 1]%Q; preferences_q := Rewards [1; 0; 1 # 3]%Q |} ] |}.
Definition P : problem := problem_of D.

Lemma P_valid : valid P.
Proof. apply data_valid; vm_compute; reflexivity. Qed.

Lemma P_margins : z_max P <= 1 / 10.
Proof.
  replace (1 / 10) with (Q2R (1 # 10)) by (unfold Q2R; simpl; lra).
  apply margins_bound; vm_compute; reflexivity.
Qed.

Lemma P_beta : temperature P = 1 / 10.
Proof. unfold P, D, problem_of, Q2R; simpl; lra. Qed.

Lemma P_diameter : diameter P <= 1.
Proof.
  apply over_pairs_le; [lra|]. intros x k l Hx Hk Hl. apply norm_le; [lra|].
  change (x < 2)%nat in Hx.
  destruct x as [|[|x]]; [| |lia]; [change (k < 2)%nat in Hk; change (l < 2)%nat in Hl|change (k < 3)%nat in Hk; change (l < 3)%nat in Hl];
    destruct k as [|[|[|k]]]; try lia; destruct l as [|[|[|l]]]; try lia;
    cbv [norm2 dot Sum difference vsub feature P problem_of feature_q entry prompt_q D nth features_q prompts_q dim dim_q Q2R Qnum Qden]; lra.
Qed.

Lemma P_span : exists v, in_S P v /\ 0 < norm2 (dim P) v.
Proof.
  exists (difference P 0 0 1); split; [apply span_in, in_differences; cbv; lia|].
  cbv [norm2 dot Sum difference vsub feature P problem_of feature_q entry prompt_q D nth features_q prompts_q dim dim_q Q2R Qnum Qden]; lra.
Qed.

(** gamma = 1 is above K_B: the closed form at Z = 1/10 is below 3/5. *)
Lemma P_threshold : K_B (temperature P) (z_max P) < 3 / 5.
Proof.
  pose proof P_valid as V. pose proof (z_max_nonneg P V) as Z0. pose proof P_margins as Z1. pose proof P_beta as Eb.
  eapply Rle_lt_trans; [apply K_B_le_closed; [apply (temperature_pos P V)|auto]|].
  eapply Rle_lt_trans; [apply K_closed_simple; [apply (temperature_pos P V)|auto]|]. rewrite Eb. lra.
Qed.

Lemma P_reference_in_C : in_C P (reference P).
Proof.
  destruct (in_C_center P) as [A B]. split.
  - rewrite <- (norm_sq P). assert (E : same (dim P) (vsub (reference P) (center P)) (vsub (center P) (center P))).
    { intros i Hi. change (i < 2)%nat in Hi. destruct i as [|[|i]]; [| |lia]; reflexivity. }
    rewrite (norm_sq P). unfold norm2 in *. rewrite (dot_ext _ _ _ _ _ E E). exact A.
  - apply (span_ext _ _ (vsub (center P) (center P))); auto.
    intros i Hi. change (i < 2)%nat in Hi. destruct i as [|[|i]]; [| |lia]; reflexivity.
Qed.

Theorem instance_C12 : strongly_concave (dim P) (in_C P) (J_gamma P 1) (gradient P (regularised P (sail P) 1)) (sail_modulus P 1)
  /\ 0 < sail_modulus P 1 <= sail_smoothness P 1.
Proof.
  pose proof P_threshold as T. pose proof P_valid as V. pose proof P_span as S. assert (T1 : K_B (temperature P) (z_max P) < 1) by lra.
  destruct (C12 P V 1 T1) as [A B]. destruct (B S) as [B1 B2]. repeat split; auto.
  exact (modulus_le_smoothness P V (sail P) _ _ 1 (C11_on_C P V) T1 S).
Qed.

Theorem instance_C13 : exists best, maximiser (in_C P) (J_gamma P 1) best.
Proof. pose proof P_threshold as T. destruct (C13 P P_valid 1 ltac:(lra)) as [best [Hb _]]. now exists best. Qed.

Theorem projected_step_instance : exists y, projected_step (dim P) (in_C P) (gradient P (regularised P (sail P) 1)) (sail_smoothness P 1) (center P) y
  /\ forall q, in_C P q -> J_gamma P 1 q - J_gamma P 1 y <= (1 - sail_modulus P 1 / sail_smoothness P 1) * (J_gamma P 1 q - J_gamma P 1 (center P)).
Proof.
  pose proof P_threshold as T. pose proof P_valid as V. pose proof P_span as S. assert (T1 : K_B (temperature P) (z_max P) < 1) by lra.
  destruct (C15_step_exists P V (sail P) (K_minus (temperature P) (z_max P)) 1 (center P)) as [y [Hy _]].
  exists y; split; auto. intros q Hq.
  apply (projected_step_contracts (dim P) (in_C P) (J_gamma P 1) (gradient P (regularised P (sail P) 1)) (sail_modulus P 1)); auto.
  - exact (modulus_pos P V _ 1 T1 S).
  - apply in_C_convex.
  - exact (C12_general P V (sail P) (sail_valid P V) _ _ 1 (C11_on_C P V) T1).
  - exact (modulus_le_smoothness P V (sail P) _ _ 1 (C11_on_C P V) T1 S).
  - exact (C12_smooth P V (sail P) (sail_valid P V) _ _ 1 (C11_on_C P V) T1 S).
  - apply in_C_center.
Qed.

Theorem instance_C20_gain : forall th, in_C P th ->
  J_gamma P 1 th - J_gamma P 1 (reference P) <= 4 * (temperature P)^2 / (1 - K_B (temperature P) (z_max P)) * win_rate_variance P.
Proof.
  intros th Hth. apply (C20_gain P P_valid 1); auto; [|apply P_reference_in_C].
  pose proof P_threshold. rewrite P_beta at 1. lra.
Qed.

Theorem instance_C29 : exists x, solution (dim P) (in_C P) (field_at P (field_with_KL P (online_dpo P) (1/4))) x.
Proof.
  destruct (C29 P P_valid (1/4)) as [_ [x [Hx _]]]; [rewrite P_beta; lra|]. now exists x.
Qed.

Definition correct (x k : nat) : R := match k with O => 1 | _ => 0 end.
Theorem instance_C30 : exists best, maximiser (in_C P) (total P (regularised P (rewards P correct) (11/10))) best.
Proof.
  destruct (C30 P P_valid correct 0 1 (11/10)) as [_ [[best [H _]] _]].
  - intros x [|k] _ _; simpl; lra.
  - lra.
  - now exists best.
Qed.

(** MaxRL with two samples: f' = 2 - V. *)
Theorem instance_C31 : exists best, maximiser (in_C P) (total P (regularised P
  (pass_rates P (fun v => 2 * v - v * v / 2) (fun v => 2 - v) (fun _ => -1) correct) (21/10))) best.
Proof.
  destruct (C31 P P_valid (fun v => 2 * v - v * v / 2) (fun v => 2 - v) (fun _ => -1) correct 2 1 (21/10)) as [_ [[best [H _]] _]].
  - intros v; auto_derive; [easy|field].
  - intros v; auto_derive; [easy|ring].
  - intros x [|k] _ _; simpl; [right|left]; reflexivity.
  - intros v Hv; repeat split; lra.
  - intros v Hv; split; nra.
  - lra.
  - now exists best.
Qed.

(** Two samples, +1 and -1 where the first is correct and the second is not. *)
Definition compare_two (x : nat) (ys : list nat) : list R :=
  match ys with [k; l] => [correct x k - correct x l; correct x l - correct x k] | _ => nil end.
Theorem instance_C32 : exists x, solution (dim P) (in_C P) (field_at P (field_with_KL P (group_field P 2 compare_two) (11/10))) x.
Proof.
  destruct (C32 P P_valid 2 compare_two) with (gamma := 11/10) as [_ [x [Hx _]]].
  - lia.
  - intros x ys _ [L _]. destruct ys as [|k [|l [|? ?]]]; try discriminate.
    unfold compare_two, correct; destruct k, l; simpl; repeat split; lra.
  - simpl INR. replace (1 + 1 - 1) with 1 by ring. rewrite sqrt_1. lra.
  - now exists x.
Qed.

(** The spans of the two prompts meet in 0 only: C24's hypothesis. *)
Theorem spans_meet_in_zero : forall v, in_S_of P 0 v -> span (dim P) (other_differences P 0) v -> same (dim P) v (fun _ => 0).
Proof.
  intros v H0 H1 i Hi. change (i < 2)%nat in Hi.
  assert (A : v 1%nat = 0).
  { revert v H0 H1. intros v H0 _. revert v H0. apply (span_least (dim P) (fun v => v 1%nat = 0)).
    - intros u w E Hu; rewrite <- (E 1%nat); auto; cbv; lia.
    - reflexivity.
    - intros a u w Hu Hw; rewrite Hu, Hw; ring.
    - intros g Hg. apply differences_of_spec in Hg. destruct Hg as [k [l [Hk [Hl ->]]]].
      change (k < 2)%nat in Hk. change (l < 2)%nat in Hl. destruct k as [|[|k]]; try lia; destruct l as [|[|l]]; try lia;
      cbv [difference vsub feature P problem_of feature_q entry prompt_q D nth features_q prompts_q Q2R Qnum Qden]; lra. }
  assert (B : v 0%nat = 0).
  { clear A i Hi. revert v H0 H1. intros v _ H1. revert v H1. apply (span_least (dim P) (fun v => v 0%nat = 0)).
    - intros u w E Hu; rewrite <- (E 0%nat); auto; cbv; lia.
    - reflexivity.
    - intros a u w Hu Hw; rewrite Hu, Hw; ring.
    - intros g Hg. change (other_differences P 0) with (differences_of P 1 ++ []) in Hg. rewrite app_nil_r in Hg.
      apply differences_of_spec in Hg. destruct Hg as [k [l [Hk [Hl ->]]]].
      change (k < 3)%nat in Hk. change (l < 3)%nat in Hl. destruct k as [|[|[|k]]]; try lia; destruct l as [|[|[|l]]]; try lia;
      cbv [difference vsub feature P problem_of feature_q entry prompt_q D nth features_q prompts_q Q2R Qnum Qden]; lra. }
  destruct i as [|[|i]]; [exact B|exact A|lia].
Qed.

(** C23's hypothesis, with g = 3/5: on the ball of every prompt. *)
Theorem instance_C23 : forall th v, in_C P th -> curvature P (sail P) th v v <= 3 / 5 * fisher_form P th v.
Proof.
  apply C23; [apply P_valid|]. intros x th v Hx [Hth Sth] Sv.
  assert (Cth : in_C P th).
  { split; auto. revert Sth. unfold in_S_of. generalize (vsub th (center P)). apply (span_least (dim P) (in_S P)).
    - intros u w E Hu; now apply (span_ext (dim P) _ u).
    - apply span_zero; now intros i Hi.
    - intros a u w Hu Hw. apply (span_ext (dim P) _ (fun i => 1 * u i + a * w i)); [intros i Hi; ring|now apply span_combine].
    - intros g Hg. apply differences_of_spec in Hg. destruct Hg as [k [l [Hk [Hl ->]]]]. now apply span_in, in_differences. }
  destruct (C11_on_C P P_valid x th v Hx Cth) as [_ U]. change (val'' (sail P) x) with (C02_hessian.J'' (prompt_at P x)) in U. pose proof P_threshold as T.
  pose proof (fisher_nonneg _ (prompt_valid P P_valid x Hx) (logit P th x) (logit P v x)) as F0.
  eapply Rle_trans; [exact U|]. apply Rmult_le_compat_r; lra.
Qed.


Theorem mirror_step_instance : exists y, mirror_step P (sail P) (K_minus (temperature P) (z_max P)) 1 (center P) y.
Proof.
  pose proof P_threshold as T.
  apply (C17_step_exists P P_valid (sail P) (sail_valid P P_valid) _ _ 1 (C11_on_C P P_valid)); [lra|exact P_span].
Qed.
