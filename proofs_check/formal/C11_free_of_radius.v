(** C11 (iii). A bound free of B: K_inf = 2 log 2 + beta log(1/pi_ref,min) + 4 beta / e + 2 c_0 beta^2. *)
Require Import Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
From Sail Require Import Sums Sigmoid Prompt C02_hessian C11_relative_curvature C11_c_zero.
Open Scope R_scope.

Lemma r_log_r : forall r, 0 < r -> r * (- ln r) <= exp (-1).
Proof.
  intros r H.
  pose proof (exp_ineq1_le (- ln r - 1)) as E.
  replace (1 + (- ln r - 1)) with (- ln r) in E by ring.
  assert (H0 : exp (- ln r - 1) = / r * exp (-1)).
  { replace (- ln r - 1) with (- ln r + -1) by ring. rewrite exp_plus, exp_Ropp, exp_ln; auto. }
  rewrite H0 in E. apply Rmult_le_compat_l with (r := r) in E; [|lra].
  replace (r * (/ r * exp (-1))) with (exp (-1)) in E by (field; lra). exact E.
Qed.

Section BFree.
Variable Q : prompt.
Hypothesis VQ : valid_prompt Q.
Hypothesis beta_pos : 0 < beta Q.
Variable pmin : R.
Hypothesis pmin_pos : 0 < pmin.
Hypothesis pmin_ok : forall k, (k < responses Q)%nat -> pmin <= pi Q (ref Q) k.
Notation m := (responses Q).

Let log_ratio (x : nat -> R) (k : nat) : R := log_pi Q x k - log_pi Q (ref Q) k.
Let L := - ln pmin.
Let neg (x : R) : R := Rmax (- x) 0.
Let pos (x : R) : R := Rmax x 0.

Lemma log_ratio_upper : forall x k, (k < m)%nat -> log_ratio x k <= L.
Proof.
  intros x k Hk; unfold log_ratio, log_pi, L.
  assert (ln (pi Q x k) <= 0) by (rewrite <- ln_1; apply ln_le; [apply pi_pos; auto|now apply pi_le1]).
  assert (ln pmin <= ln (pi Q (ref Q) k)) by (apply ln_le; auto). lra.
Qed.

Lemma L_nonneg : 0 <= L.
Proof.
  unfold L. assert (H : ln pmin <= ln 1); [|rewrite ln_1 in H; lra]. apply ln_le; auto.
  eapply Rle_trans; [apply (pmin_ok O (some_response Q VQ))|]. apply pi_le1; auto. apply some_response; auto.
Qed.

Lemma E_neg : forall x, E Q x (fun k => neg (log_ratio x k)) <= exp (-1).
Proof.
  intros x.
  apply Rle_trans with (Sum m (fun k => pi Q (ref Q) k * exp (-1))).
  - unfold E; apply Sum_le; intros k Hk; unfold neg.
    pose proof (pi_pos Q VQ x k Hk) as P1. pose proof (pi_pos Q VQ (ref Q) k Hk) as P2.
    assert (0 <= pi Q (ref Q) k * exp (-1)) by (apply Rmult_le_pos; [lra|left; apply exp_pos]).
    unfold Rmax; destruct (Rle_dec (- log_ratio x k) 0); [lra|].
    assert (H0 : - log_ratio x k = - ln (pi Q x k / pi Q (ref Q) k)).
    { unfold log_ratio, log_pi, Rdiv; rewrite ln_mult, ln_Rinv; try lra; try (now apply Rinv_0_lt_compat). }
    rewrite H0.
    pose proof (r_log_r (pi Q x k / pi Q (ref Q) k) ltac:(now apply Rdiv_lt_0_compat)) as R.
    apply Rmult_le_compat_l with (r := pi Q (ref Q) k) in R; [|lra].
    replace (pi Q (ref Q) k * (pi Q x k / pi Q (ref Q) k * - ln (pi Q x k / pi Q (ref Q) k)))
      with (pi Q x k * - ln (pi Q x k / pi Q (ref Q) k)) in R by (field; lra). exact R.
  - rewrite Sum_scal_r, (pi_sum Q VQ). lra.
Qed.

Lemma E_abs : forall x, E2 Q x (fun k l => Rabs (log_ratio x k - log_ratio x l)) <= L / 2 + 2 * exp (-1).
Proof.
  intros x. pose proof L_nonneg as L0. pose proof (E_neg x) as EN.
  destruct L0 as [L0|L0].
  - set (a := fun k => pos (log_ratio x k) / L).
    assert (A : forall k, (k < m)%nat -> 0 <= a k <= 1 /\ pos (log_ratio x k) = L * a k).
    { intros k Hk. pose proof (log_ratio_upper x k Hk). unfold a.
      assert (0 <= pos (log_ratio x k) <= L) by (unfold pos, Rmax; destruct (Rle_dec (log_ratio x k) 0); lra).
      split; [|field; lra]. split.
      - apply Rmult_le_pos; [lra|left; now apply Rinv_0_lt_compat].
      - apply Rmult_le_reg_r with L; [lra|]. replace (pos (log_ratio x k) / L * L) with (pos (log_ratio x k)) by (field; lra). lra. }
    apply Rle_trans with (E2 Q x (fun k l => L * (a k * (1 - a l) + (1 - a k) * a l) + (neg (log_ratio x k) + neg (log_ratio x l)))).
    + apply (E2_le Q VQ); intros k l Hk Hl. destruct (A k Hk) as [A1 A2]. destruct (A l Hl) as [A3 A4].
      assert (Dc : forall y, y = pos y - neg y) by (intros y; unfold pos, neg, Rmax; destruct (Rle_dec y 0); destruct (Rle_dec (- y) 0); lra).
      assert (N : forall y, 0 <= neg y) by (intros y; unfold neg; apply Rmax_r).
      rewrite (Dc (log_ratio x k)) at 1. rewrite (Dc (log_ratio x l)) at 1. rewrite A2, A4.
      pose proof (N (log_ratio x k)). pose proof (N (log_ratio x l)).
      assert (- (a k * (1 - a l) + (1 - a k) * a l) <= a k - a l <= a k * (1 - a l) + (1 - a k) * a l) by nra.
      assert (L * (a k - a l) <= L * (a k * (1 - a l) + (1 - a k) * a l)) by (apply Rmult_le_compat_l; lra).
      assert (L * (- (a k * (1 - a l) + (1 - a k) * a l)) <= L * (a k - a l)) by (apply Rmult_le_compat_l; lra).
      apply Rabs_le; lra.
    + rewrite E2_plus, E2_scal, E2_plus, E2_plus, !E2_prod.
      rewrite (E2_l Q VQ x (fun k => neg (log_ratio x k))), (E2_r Q VQ x (fun k => neg (log_ratio x k))).
      rewrite (E_minus Q x (fun _ => 1)), (E_const Q VQ).
      set (q := E Q x a). pose proof (pow2_ge_0 (q - /2)).
      assert (L * (q * (1 - q) + (1 - q) * q) <= L * / 2) by (apply Rmult_le_compat_l; nra). lra.
  - apply Rle_trans with (E2 Q x (fun k l => neg (log_ratio x k) + neg (log_ratio x l))).
    + apply (E2_le Q VQ); intros k l Hk Hl. pose proof (log_ratio_upper x k Hk). pose proof (log_ratio_upper x l Hl).
      unfold neg, Rmax; destruct (Rle_dec (- log_ratio x k) 0); destruct (Rle_dec (- log_ratio x l) 0); apply Rabs_le; lra.
    + rewrite E2_plus, (E2_l Q VQ x (fun k => neg (log_ratio x k))), (E2_r Q VQ x (fun k => neg (log_ratio x k))). lra.
Qed.

Lemma softplus_linear : forall a, 0 <= a -> - log_sigma (- a) <= ln 2 + a.
Proof.
  intros a Ha. rewrite log_sigma_opp. pose proof (log_sigma_incr 0 a Ha) as H. rewrite log_sigma_0 in H. lra.
Qed.

Lemma J_lower_free : forall x, - 2 * J Q x <= 2 * ln 2 + beta Q * L + 4 * beta Q * exp (-1).
Proof.
  intros x.
  assert (B : E2 Q x (fun k l => (- ln 2) + (- beta Q) * Rabs (log_ratio x k - log_ratio x l)) <= J Q x).
  { unfold J, value; apply (E2_le Q VQ); intros k l Hk Hl.
    destruct (payoff_between Q VQ x k l Hk Hl) as [G _].
    eapply Rle_trans; [|exact G].
    pose proof (softplus_linear (Rabs (margin Q x k l)) (Rabs_pos _)) as S.
    rewrite (margin_log_ratio Q VQ) in S by auto. rewrite (margin_log_ratio Q VQ) by auto.
    fold (log_ratio x k) (log_ratio x l) in *. rewrite Rabs_mult, (Rabs_pos_eq (beta Q)) in * by lra. lra. }
  rewrite E2_plus, E2_scal, (E2_const Q VQ) in B.
  pose proof (E_abs x) as EA. apply Rmult_le_compat_l with (r := beta Q) in EA; lra.
Qed.

Theorem C11_iii : forall x v, J'' Q v v x <=
  (2 * ln 2 + beta Q * ln (/ pmin) + 4 * beta Q * exp (-1) + 2 * (26202/100000) * (beta Q)^2) * fisher Q x v.
Proof.
  intros x v. eapply Rle_trans; [apply (C11_ii Q VQ)|].
  apply Rmult_le_compat_r; [apply fisher_nonneg; auto|].
  rewrite ln_Rinv by auto. pose proof (J_lower_free x) as JL. unfold L in JL. lra.
Qed.
End BFree.
