(** The logistic function: sigma(z) = 1/(1 + e^-z), log sigma, sigma' and how they bend. *)
Require Import Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
Open Scope R_scope.

Definition sigma (z : R) : R := / (1 + exp (- z)).
Definition log_sigma (z : R) : R := ln (sigma z).
Definition sigma' (z : R) : R := sigma z * sigma (- z).

Lemma sigma_pos : forall z, 0 < sigma z.
Proof. intros; unfold sigma; apply Rinv_0_lt_compat; pose proof (exp_pos (-z)); lra. Qed.

Lemma sigma_opp : forall z, sigma (- z) = 1 - sigma z.
Proof.
  intros; unfold sigma; rewrite Ropp_involutive, exp_Ropp.
  pose proof (exp_pos z); field; split; lra.
Qed.

Lemma sigma_lt1 : forall z, sigma z < 1.
Proof. intros z; pose proof (sigma_pos (- z)); rewrite sigma_opp in H; lra. Qed.

Lemma sigma_0 : sigma 0 = / 2.
Proof. unfold sigma; rewrite Ropp_0, exp_0; f_equal; ring. Qed.

Lemma sigma'_pos : forall z, 0 < sigma' z.
Proof. intros; unfold sigma'; apply Rmult_lt_0_compat; apply sigma_pos. Qed.

Lemma sigma'_even : forall z, sigma' (- z) = sigma' z.
Proof. intros; unfold sigma'; rewrite Ropp_involutive; ring. Qed.

Lemma sigma'_le_quarter : forall z, sigma' z <= / 4.
Proof. intros; unfold sigma'; rewrite sigma_opp; pose proof (pow2_ge_0 (sigma z - /2)); nra. Qed.

Lemma sigma_incr : forall x y, x <= y -> sigma x <= sigma y.
Proof.
  intros x y H; unfold sigma; pose proof (exp_pos (-y)).
  apply Rinv_le_contravar; [lra|].
  assert (exp (-y) <= exp (-x)); [|lra].
  destruct H as [H| ->]; [left; apply exp_increasing; lra|lra].
Qed.

Lemma sigma_derive : forall z, is_derive sigma z (sigma' z).
Proof.
  intros z; unfold sigma'; rewrite sigma_opp; unfold sigma.
  pose proof (exp_pos (-z)). auto_derive; [lra|]. field; lra.
Qed.

Lemma log_sigma_derive : forall z, is_derive log_sigma z (sigma (- z)).
Proof.
  intros z; rewrite sigma_opp; unfold log_sigma, sigma.
  pose proof (exp_pos (-z)).
  auto_derive.
  - split; [lra|split; [apply Rinv_0_lt_compat; lra|trivial]].
  - field; lra.
Qed.

Lemma log_sigma_derive2 : forall z, is_derive (fun z => sigma (- z)) z (- sigma' z).
Proof.
  intros z. evar_last.
  - apply (is_derive_comp sigma (fun z => - z) z (sigma' (- z)) (-1)); [apply sigma_derive|].
    auto_derive; [trivial|ring].
  - rewrite sigma'_even. change (-1 * sigma' z = - sigma' z); ring.
Qed.

Lemma log_sigma_incr : forall x y, x <= y -> log_sigma x <= log_sigma y.
Proof. intros; unfold log_sigma; apply ln_le; [apply sigma_pos|now apply sigma_incr]. Qed.

Lemma log_sigma_0 : log_sigma 0 = - ln 2.
Proof. unfold log_sigma; rewrite sigma_0; apply ln_Rinv; lra. Qed.

Lemma log_sigma_neg : forall z, log_sigma z < 0.
Proof. intros; unfold log_sigma; rewrite <- ln_1; apply ln_increasing; [apply sigma_pos|apply sigma_lt1]. Qed.

Lemma log_sigma_opp : forall z, log_sigma (- z) = log_sigma z - z.
Proof.
  intros; unfold log_sigma. replace (sigma (- z)) with (sigma z * exp (- z)).
  - rewrite ln_mult, ln_exp; [ring|apply sigma_pos|apply exp_pos].
  - unfold sigma; rewrite Ropp_involutive, exp_Ropp. pose proof (exp_pos z); field; lra.
Qed.

Lemma log_sigma_softplus : forall z, - log_sigma (- z) = ln (1 + exp z).
Proof.
  intros; unfold log_sigma, sigma; rewrite Ropp_involutive.
  pose proof (exp_pos z). rewrite ln_Rinv; lra.
Qed.

(** log sigma is concave: it lies below its tangents and above its chords. *)
Lemma log_sigma_tangent : forall a y, log_sigma y <= log_sigma a + sigma (- a) * (y - a).
Proof.
  intros a y.
  destruct (MVT_gen log_sigma a y (fun z => sigma (- z))) as [c [Hc E]].
  - intros; apply log_sigma_derive.
  - intros z _; apply continuity_pt_filterlim, (ex_derive_continuous log_sigma).
    eexists; apply log_sigma_derive.
  - destruct (Rle_dec a y) as [L|L].
    + rewrite Rmin_left, Rmax_right in Hc by lra.
      assert (sigma (- c) <= sigma (- a)) by (apply sigma_incr; lra). nra.
    + rewrite Rmin_right, Rmax_left in Hc by lra.
      assert (sigma (- a) <= sigma (- c)) by (apply sigma_incr; lra). nra.
Qed.

Lemma log_sigma_chord : forall l a b, 0 <= l <= 1 ->
  l * log_sigma a + (1 - l) * log_sigma b <= log_sigma (l * a + (1 - l) * b).
Proof.
  intros l a b H; set (y := l * a + (1 - l) * b).
  pose proof (log_sigma_tangent y a) as A; pose proof (log_sigma_tangent y b) as B.
  assert (l * log_sigma a <= l * (log_sigma y + sigma (- y) * (a - y))) by (apply Rmult_le_compat_l; lra).
  assert ((1 - l) * log_sigma b <= (1 - l) * (log_sigma y + sigma (- y) * (b - y))) by (apply Rmult_le_compat_l; lra).
  replace (log_sigma y) with (l * (log_sigma y + sigma (- y) * (a - y)) + (1 - l) * (log_sigma y + sigma (- y) * (b - y)))
    by (unfold y at 3 6; ring). lra.
Qed.

Lemma abs_range : forall z Z, Rabs z <= Z -> z <= Z /\ - z <= Z.
Proof.
  intros z Z H; split; [eapply Rle_trans; [apply Rle_abs|auto]|].
  eapply Rle_trans; [apply Rle_abs|now rewrite Rabs_Ropp].
Qed.

(** sigma' decreases in |z|. *)
Lemma sigma'_ge : forall z Z, Rabs z <= Z -> sigma' Z <= sigma' z.
Proof.
  intros z Z H.
  assert (A : forall y, 0 <= y -> y <= Z -> sigma' Z <= sigma' y).
  { intros y Hy HyZ; unfold sigma'; rewrite !sigma_opp.
    pose proof (sigma_incr y Z HyZ); pose proof (sigma_incr 0 y Hy) as H1; rewrite sigma_0 in H1. nra. }
  destruct (Rle_dec 0 z).
  - rewrite Rabs_pos_eq in H by lra; apply A; lra.
  - rewrite Rabs_left in H by lra; rewrite <- (sigma'_even z); apply A; lra.
Qed.

Lemma ln_le_sub : forall s, 0 < s -> ln s <= s - 1.
Proof. intros s H. pose proof (exp_ineq1_le (ln s)) as E. rewrite exp_ln in E by auto. lra. Qed.

(** The logarithm lies below its tangent at y0. *)
Lemma ln_tangent : forall y y0, 0 < y -> 0 < y0 -> ln y <= ln y0 + y / y0 - 1.
Proof.
  intros y y0 H H0. assert (P : 0 < y / y0) by (now apply Rdiv_lt_0_compat).
  pose proof (ln_le_sub _ P) as L. unfold Rdiv in L at 1. rewrite ln_mult, ln_Rinv in L; auto; [lra|now apply Rinv_0_lt_compat].
Qed.
