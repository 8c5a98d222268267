(** C23 for a prompt of two responses: there gamma*_x is the supremum of one function of one variable.

      Hess J_x = eta F_x,  eta = 2 g~ (1 - 6 s (1 - s)) + 4 beta u (1 - 2 s) - 2 beta^2 sigma'(z),

    g~ and u those of C25, s = pi(y_1) = sigma(z / beta + a), a = log(pi_ref(y_1) / pi_ref(y_2)). *)
Require Import Reals Lra Lia.
From Coquelicot Require Import Coquelicot.
From Sail Require Import Sums Vectors Sigmoid Prompt C02_hessian C11_relative_curvature C25_data_dependent Problem Objectives.
Open Scope R_scope.

Definition two_curvature (beta p a z : R) : R := let s := sigma (z / beta + a) in
  2 * pair_payoff p z * (1 - 6 * (s * (1 - s))) + 4 * beta * pair_slope p z * (1 - 2 * s) - 2 * beta^2 * sigma' z.

Section Two.
Variable Q : prompt.
Hypothesis VQ : valid_prompt Q.
Hypothesis two : responses Q = 2%nat.
Hypothesis beta_pos : 0 < beta Q.
Notation b_ := (beta Q).
Definition log_odds : R := ref Q 0%nat - ref Q 1%nat + ln (base Q 0%nat / base Q 1%nat).

Lemma share : forall x, pi Q x 0 = sigma (margin Q x 0 1 / b_ + log_odds) /\ pi Q x 1 = 1 - pi Q x 0.
Proof.
  intros x. pose proof (base_pos Q VQ 0 ltac:(lia)) as N0. pose proof (base_pos Q VQ 1 ltac:(lia)) as N1.
  pose proof (pi_sum Q VQ x) as S. rewrite two in S; simpl in S. split; [|lra].
  assert (E : margin Q x 0 1 / b_ + log_odds = (x 0%nat - x 1%nat) + ln (base Q 0%nat / base Q 1%nat)).
  { unfold margin, log_odds. field; lra. }
  rewrite E. unfold sigma, pi, partition. rewrite two; simpl.
  pose proof (exp_pos (x 0%nat)) as E0. pose proof (exp_pos (x 1%nat)) as E1.
  rewrite Ropp_plus_distr, exp_plus, (exp_Ropp (ln _)), exp_ln by (apply Rdiv_lt_0_compat; auto).
  unfold Rminus; rewrite Ropp_plus_distr, Ropp_involutive, exp_plus, exp_Ropp. field. repeat split; nra.
Qed.

Theorem C23_two_exact : forall x v, J'' Q v v x = two_curvature b_ (pref Q 0 1) log_odds (margin Q x 0 1) * fisher Q x v.
Proof.
  intros x v. destruct (share x) as [S0 S1].
  rewrite J''_value'', (C02_pair_form Q VQ _ _ _ (- ln 2)) by auto.
  set (eta := two_curvature b_ (pref Q 0 1) log_odds (margin Q x 0 1)).
  assert (Z0 : forall k, (k < 2)%nat -> margin Q x k k = 0) by (intros; unfold margin; ring).
  set (z := margin Q x 0 1) in *. set (g := pair_payoff (pref Q 0 1) z). set (w := pair_slope (pref Q 0 1) z).
  assert (L0 : (0 < responses Q)%nat) by lia. assert (L1 : (1 < responses Q)%nat) by lia.
  assert (G01 : shifted Q log_sigma (- ln 2) x 0 1 = g) by (unfold shifted; rewrite payoff_pair by auto; unfold g, z; ring).
  assert (G10 : shifted Q log_sigma (- ln 2) x 1 0 = g) by (rewrite <- G01; unfold shifted; rewrite payoff_sym; reflexivity).
  assert (Gkk : forall k, (k < 2)%nat -> shifted Q log_sigma (- ln 2) x k k = 0).
  { intros k Hk; unfold shifted, payoff. rewrite (Z0 k Hk), Ropp_0, log_sigma_0.
    pose proof (pref_sum Q VQ k k ltac:(lia) ltac:(lia)). nra. }
  assert (U01 : slope Q (fun z => sigma (- z)) x 0 1 = w) by (rewrite slope_sail by auto; reflexivity).
  assert (U10 : slope Q (fun z => sigma (- z)) x 1 0 = - w) by (rewrite slope_anti, U01; reflexivity).
  assert (Ukk : forall k, (k < 2)%nat -> slope Q (fun z => sigma (- z)) x k k = 0).
  { intros k Hk. pose proof (slope_anti Q (fun z => sigma (- z)) x k k). lra. }
  assert (E0 : effect Q log_sigma (fun z => sigma (- z)) (- ln 2) x 0 = (1 - pi Q x 0) * (g + b_ * w)).
  { unfold effect, E. rewrite two; simpl. rewrite G01, U01, Gkk, Ukk, S1 by lia. ring. }
  assert (E1 : effect Q log_sigma (fun z => sigma (- z)) (- ln 2) x 1 = pi Q x 0 * (g - b_ * w)).
  { unfold effect, E. rewrite two; simpl. rewrite G10, U10, Gkk, Ukk by lia. ring. }
  assert (Em : E Q x (effect Q log_sigma (fun z => sigma (- z)) (- ln 2) x) = 2 * (pi Q x 0 * (1 - pi Q x 0)) * g).
  { unfold E at 1. rewrite two; simpl. rewrite E0, E1, S1. ring. }
  assert (P01 : payoff Q (fun z => - sigma' z) x 0 1 = - sigma' z) by (apply payoff_sail_even; auto).
  assert (P10 : payoff Q (fun z => - sigma' z) x 1 0 = - sigma' z) by (rewrite payoff_sym; exact P01).
  rewrite (E2_ext Q x _ (fun k l => eta * (minus_score v k l)^2)).
  - rewrite E2_scal, (E2_minus2 Q VQ). field.
  - intros k l Hk Hl. rewrite two in Hk, Hl.
    assert (C : k = l \/ (k = 0 /\ l = 1)%nat \/ (k = 1 /\ l = 0)%nat) by lia.
    destruct C as [<-|[[-> ->]|[-> ->]]].
    + unfold minus_score. rewrite Rminus_eq_0. ring.
    + f_equal. unfold pair_curvature. rewrite E0, E1, Em, G01, P01. unfold eta, two_curvature. rewrite <- S0. fold g w. ring.
    + f_equal. unfold pair_curvature. rewrite E0, E1, Em, G10, P10. unfold eta, two_curvature. rewrite <- S0. fold g w. ring.
Qed.
End Two.

(** On C z runs through [z_low, z_high]. *)
Theorem C23_two : forall P, valid P -> forall x K, (x < prompts P)%nat -> size P x = 2%nat ->
  (forall z, z_low P x 0 1 <= z <= z_high P x 0 1 ->
    two_curvature (temperature P) (preference P x 0%nat 1%nat) (log_odds (prompt_at P x)) z <= K) ->
  forall th v, in_C P th ->
    J'' (prompt_at P x) (logit P v x) (logit P v x) (logit P th x) <= K * fisher (prompt_at P x) (logit P th x) (logit P v x).
Proof.
  intros P VP x K Hx H2 HK th v Hth. pose proof (prompt_valid P VP x Hx) as VQ.
  rewrite (C23_two_exact (prompt_at P x) VQ H2 (temperature_pos P VP)).
  apply Rmult_le_compat_r; [now apply fisher_nonneg|].
  apply HK, z_interval; auto; rewrite H2; lia.
Qed.
