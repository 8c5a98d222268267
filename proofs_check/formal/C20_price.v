(** C20. The price of the guarantee: what does as well as the reference has KL(pi_ref || pi) <= log 2 / gamma,
    and for c = gamma - K >= beta nothing on C gains more than 4 beta^2 Var_ref(pbar) / c over the reference. *)
Require Import Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
From Sail Require Import Sums Vectors Sigmoid Prompt C01_gradient C07_kl_hessian C11_relative_curvature C03_reference_hessian
  C19_bias Ascent Problem Objectives C12_strong_concavity.
Open Scope R_scope.

Section C20.
Variable P : problem.
Hypothesis VP : valid P.
Notation d := (dim P). Notation n := (prompts P).

Lemma J_gamma_reference : forall gamma, J_gamma P gamma (reference P) = - ln 2.
Proof.
  intros gamma; unfold J_gamma, total; simpl.
  rewrite (Sum_ext n _ (fun x => weight P x * (- ln 2))).
  - rewrite Sum_scal_r, (weight_sum P VP); ring.
  - intros x Hx. pose proof (prompt_valid P VP x Hx) as VQ. f_equal.
    change (logit P (reference P) x) with (ref (prompt_at P x)). rewrite (J_ref _ VQ), (KL_ref _ VQ); ring.
Qed.

Theorem C20_KL : forall gamma th, 0 < gamma -> J_gamma P gamma (reference P) <= J_gamma P gamma th ->
  mean_KL P th <= ln 2 / gamma.
Proof.
  intros gamma th Hg H. rewrite J_gamma_reference in H. unfold J_gamma in H; rewrite total_regularised in H.
  assert (N : total P (sail P) th <= 0).
  { unfold total; rewrite <- (Sum_0 n); apply Sum_le; intros x Hx; simpl.
    pose proof (J_nonpos _ (prompt_valid P VP x Hx) (logit P th x)). pose proof (weight_pos P VP x Hx). nra. }
  apply Rmult_le_reg_l with gamma; [auto|]. replace (gamma * (ln 2 / gamma)) with (ln 2) by (field; lra). lra.
Qed.

(** The derivative of J at the reference is 2 beta Cov_ref(pbar, b). *)
Lemma J'_reference : forall Q, valid_prompt Q -> forall b,
  J' Q b (ref Q) = 2 * beta Q * E Q (ref Q) (fun k => (pbar Q k - / 2) * b k).
Proof.
  intros Q VQ b; unfold J'.
  assert (S1 : E2 Q (ref Q) (fun k l => pref Q k l * b k) = E Q (ref Q) (fun k => pbar Q k * b k)).
  { unfold E2, pbar; apply E_ext; intros. rewrite Rmult_comm, <- E_scal; apply E_ext; intros; ring. }
  assert (S2 : E2 Q (ref Q) (fun k l => pref Q k l * b l) = E Q (ref Q) b - E Q (ref Q) (fun k => pbar Q k * b k)).
  { rewrite E2_sym, <- S1, <- (E2_l Q VQ (ref Q) b), <- E2_minus.
    apply E2_ext; intros k l Hk Hl. pose proof (pref_sum Q VQ k l Hk Hl). replace (pref Q l k) with (1 - pref Q k l) by lra. ring. }
  transitivity (E2 Q (ref Q) (fun k l => (- ln 2) * (score Q (ref Q) b k + score Q (ref Q) b l)
    + beta Q * ((pref Q k l * b k - pref Q k l * b l) - / 2 * (b k - b l)))).
  - apply E2_ext; intros k l Hk Hl.
    assert (G : payoff Q log_sigma (ref Q) k l = - ln 2).
    { unfold payoff. rewrite margin_ref, Ropp_0, log_sigma_0. pose proof (pref_sum Q VQ k l Hk Hl).
      replace (pref Q l k) with (1 - pref Q k l) by lra; ring. }
    rewrite G. unfold u, plus_score, minus_score. rewrite margin_ref, sigma_0. field.
  - rewrite E2_plus, !E2_scal, E2_plus, !E2_minus, S1, S2, E2_scal, E2_minus.
    rewrite (E2_l Q VQ (ref Q) (score Q (ref Q) b)), (E2_r Q VQ (ref Q) (score Q (ref Q) b)), (score_mean Q VQ).
    rewrite (E2_l Q VQ (ref Q) b), (E2_r Q VQ (ref Q) b).
    rewrite (E_ext Q (ref Q) (fun k => (pbar Q k - / 2) * b k) (fun k => pbar Q k * b k - / 2 * b k)) by (intros; ring).
    rewrite E_minus, E_scal. field.
Qed.

Lemma pbar_mean : forall Q, valid_prompt Q -> E Q (ref Q) (pbar Q) = / 2.
Proof.
  intros Q VQ. change (E2 Q (ref Q) (pref Q) = / 2).
  assert (E2 Q (ref Q) (pref Q) = 1 - E2 Q (ref Q) (pref Q)); [|lra].
  rewrite E2_sym at 1. rewrite <- (E2_const Q VQ (ref Q) 1) at 1. rewrite <- E2_minus.
  apply E2_ext; intros k l Hk Hl. pose proof (pref_sum Q VQ k l Hk Hl). lra.
Qed.

Lemma pbar_01 : forall Q, valid_prompt Q -> forall k, (k < responses Q)%nat -> 0 <= pbar Q k <= 1.
Proof.
  intros Q VQ k Hk; unfold pbar; split.
  - rewrite <- (E_const Q VQ (ref Q) 0); apply (E_le Q VQ); intros l Hl. apply (pref_01 Q VQ k l Hk Hl).
  - rewrite <- (E_const Q VQ (ref Q) 1); apply (E_le Q VQ); intros l Hl. apply (pref_01 Q VQ k l Hk Hl).
Qed.

(** y t <= y^2 - 2 y + e^t for y >= 0. *)
Lemma gibbs : forall y t, 0 <= y -> y * t <= y^2 - 2 * y + exp t.
Proof.
  intros y t Hy. destruct Hy as [Hy|<-]; [|pose proof (exp_pos t); lra].
  pose proof (ln_le_sub y Hy) as L. pose proof (exp_ineq1_le (t - ln y)) as X.
  replace (exp (t - ln y)) with (exp t / y) in X.
  2:{ unfold Rminus; rewrite exp_plus, exp_Ropp, exp_ln by auto; reflexivity. }
  apply Rmult_le_compat_l with (r := y) in X; [|lra].
  replace (y * (exp t / y)) with (exp t) in X by (field; lra). nra.
Qed.

(** For one prompt: 2 beta Cov(pbar, t) - c KL <= (4 beta^2/c) Var(pbar) as soon as c >= beta. *)
Lemma price_prompt : forall Q, valid_prompt Q -> forall c x, 0 < beta Q -> beta Q <= c ->
  J' Q (fun k => x k - ref Q k) (ref Q) - c * KL Q x <= 4 * (beta Q)^2 / c * E Q (ref Q) (fun k => (pbar Q k - / 2)^2).
Proof.
  intros Q VQ c x Hb Hc. rewrite (J'_reference Q VQ), (KL_cumulant Q VQ).
  set (t := fun k => x k - ref Q k).
  set (L := ln (E Q (ref Q) (fun k => exp (t k)))).
  assert (P0 : 0 < E Q (ref Q) (fun k => exp (t k))).
  { apply Sum_pos; [apply some_response; auto|]. intros k Hk; apply Rmult_lt_0_compat; [now apply pi_pos|apply exp_pos]. }
  set (w := fun k => 2 * beta Q / c * (pbar Q k - / 2)).
  assert (W : forall k, (k < responses Q)%nat -> 0 <= 1 + w k).
  { intros k Hk; pose proof (pbar_01 Q VQ k Hk). unfold w.
    assert (B : 0 <= beta Q / c <= 1).
    { split; [apply Rmult_le_pos; [lra|left; apply Rinv_0_lt_compat; lra]|].
      apply Rmult_le_reg_r with c; [lra|]. replace (beta Q / c * c) with (beta Q) by (field; lra). lra. }
    replace (2 * beta Q / c * (pbar Q k - / 2)) with (beta Q / c * (2 * pbar Q k - 1)) by (field; lra). nra. }
  assert (W0 : E Q (ref Q) w = 0).
  { unfold w; rewrite E_scal, (E_minus Q (ref Q) (pbar Q)), (E_const Q VQ), (pbar_mean Q VQ); ring. }
  assert (G : E Q (ref Q) (fun k => (1 + w k) * (t k - L)) <= E Q (ref Q) (fun k => (w k)^2 - 1 + exp (t k - L))).
  { apply (E_le Q VQ); intros k Hk. pose proof (gibbs (1 + w k) (t k - L) (W k Hk)). nra. }
  assert (R1 : E Q (ref Q) (fun k => (w k)^2 - 1 + exp (t k - L)) = E Q (ref Q) (fun k => (w k)^2)).
  { rewrite E_plus, (E_minus Q (ref Q) (fun k => (w k)^2)), (E_const Q VQ).
    rewrite (E_ext Q (ref Q) (fun k => exp (t k - L)) (fun k => exp (- L) * exp (t k))).
    - rewrite E_scal, exp_Ropp. unfold L; rewrite exp_ln by auto. field; lra.
    - intros; unfold Rminus; rewrite exp_plus; ring. }
  assert (L1 : E Q (ref Q) (fun k => (1 + w k) * (t k - L)) = E Q (ref Q) (fun k => w k * t k) + E Q (ref Q) t - L).
  { rewrite (E_ext Q (ref Q) _ (fun k => (w k * t k + t k) - (L + L * w k))) by (intros; ring).
    rewrite E_minus, !E_plus, (E_const Q VQ), E_scal, W0; ring. }
  assert (X1 : E Q (ref Q) (fun k => w k * t k) = 2 * beta Q / c * E Q (ref Q) (fun k => (pbar Q k - / 2) * t k)).
  { rewrite <- E_scal; apply E_ext; intros; unfold w; ring. }
  assert (X2 : E Q (ref Q) (fun k => (w k)^2) = (2 * beta Q / c)^2 * E Q (ref Q) (fun k => (pbar Q k - / 2)^2)).
  { rewrite <- E_scal; apply E_ext; intros; unfold w; ring. }
  rewrite R1, X2, L1, X1 in G.
  change (2 * beta Q * E Q (ref Q) (fun k => (pbar Q k - / 2) * t k) - c * (L - E Q (ref Q) t)
    <= 4 * (beta Q)^2 / c * E Q (ref Q) (fun k => (pbar Q k - / 2)^2)).
  apply Rmult_le_compat_l with (r := c) in G; [|lra].
  replace (c * ((2 * beta Q / c)^2 * E Q (ref Q) (fun k => (pbar Q k - / 2)^2)))
    with (4 * (beta Q)^2 / c * E Q (ref Q) (fun k => (pbar Q k - / 2)^2)) in G by (field; lra).
  replace (c * (2 * beta Q / c * E Q (ref Q) (fun k => (pbar Q k - / 2) * t k) + E Q (ref Q) t - L))
    with (2 * beta Q * E Q (ref Q) (fun k => (pbar Q k - / 2) * t k) - c * (L - E Q (ref Q) t)) in G by (field; lra).
  exact G.
Qed.

Definition win_rate_variance : R :=
  Sum n (fun x => weight P x * E (prompt_at P x) (logit P (reference P) x) (fun k => (pbar (prompt_at P x) k - / 2)^2)).

Theorem C20_gain : forall gamma, let c := gamma - K_B (temperature P) (z_max P) in
  temperature P <= c -> in_C P (reference P) -> forall th, in_C P th ->
  J_gamma P gamma th - J_gamma P gamma (reference P) <= 4 * (temperature P)^2 / c * win_rate_variance.
Proof.
  intros gamma c Hc Href th Hth. pose proof (temperature_pos P VP) as T.
  destruct (C12_relative P VP (sail P) (sail_valid P VP) _ _ gamma (C11_on_C P VP) (reference P) th Href Hth) as [U _].
  fold (J_gamma P gamma) in U. fold c in U.
  rewrite <- (KL_is_bregman P VP) in U.
  rewrite (gradient_direction P _ (regularised_valid P VP _ gamma (sail_valid P VP))) in U.
  assert (S : Sum n (fun x => weight P x * val' (regularised P (sail P) gamma) x (logit P (vsub th (reference P)) x) (logit P (reference P) x))
      - c * mean_KL P th <= 4 * (temperature P)^2 / c * win_rate_variance); [|lra].
  unfold mean_KL, win_rate_variance. rewrite <- !Sum_scal, <- Sum_minus; apply Sum_le; intros x Hx; simpl.
  pose proof (prompt_valid P VP x Hx) as VQ.
  pose proof (price_prompt (prompt_at P x) VQ c (logit P th x) T Hc) as Pr; simpl in Pr.
  assert (E0 : KL' (prompt_at P x) (logit P (vsub th (reference P)) x) (logit P (reference P) x) = 0) by (unfold KL'; simpl; ring).
  rewrite E0.
  assert (E1 : J' (prompt_at P x) (logit P (vsub th (reference P)) x) (logit P (reference P) x)
      = J' (prompt_at P x) (fun k => logit P th x k - logit P (reference P) x k) (logit P (reference P) x)).
  { apply (proj2 (J'_linear (prompt_at P x) (logit P (reference P) x))). intros; apply logit_sub. }
  rewrite E1. pose proof (weight_pos P VP x Hx) as W. apply Rmult_le_compat_l with (r := weight P x) in Pr; [|lra]. lra.
Qed.
End C20.
