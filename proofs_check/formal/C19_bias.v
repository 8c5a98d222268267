(** C19. The bias of the regularised maximiser: 0 <= J(best) - J(best_gamma) <= gamma KL(pi_ref || pi_best)
    <= gamma K(R), K(R) = log((e^R - 1)/R) - 1 + R/(e^R - 1), exact at given range R, K(R) <= min(R, R^2/8). *)
Require Import Reals Lra Lia Psatz FunctionalExtensionality.
From Coquelicot Require Import Coquelicot.
From Sail Require Import Sums Vectors Sigmoid Prompt Derivatives C07_kl_hessian Ascent Problem Objectives.
Open Scope R_scope.

(** For any objective, over any set. *)
Theorem C19_bias : forall P, valid P -> forall o gamma (C : vec -> Prop) best best_gamma, 0 <= gamma ->
  maximiser C (total P o) best -> maximiser C (total P (regularised P o gamma)) best_gamma ->
  0 <= total P o best - total P o best_gamma <= gamma * mean_KL P best.
Proof.
  intros P VP o gamma C best bg G [H1 M1] [H2 M2]. pose proof (M1 bg H2) as A1. pose proof (M2 best H1) as A2.
  rewrite !total_regularised in A2.
  assert (K0 : 0 <= mean_KL P bg).
  { apply Sum_nonneg; intros x Hx; apply Rmult_le_pos; [left; now apply weight_pos|].
    apply KL_nonneg; now apply prompt_valid. }
  assert (0 <= gamma * mean_KL P bg) by (apply Rmult_le_pos; auto). lra.
Qed.

Definition K_range (r : R) : R := ln ((exp r - 1) / r) - 1 + r / (exp r - 1).

(** e^t lies below its chord on [0, r]. *)
Lemma exp_chord : forall r t, 0 < r -> 0 <= t <= r -> exp t <= 1 + t / r * (exp r - 1).
Proof.
  intros r t Hr Ht.
  assert (T : forall a y, exp a + exp a * (y - a) <= exp y).
  { intros a y. replace (exp y) with (exp a * exp (y - a)) by (rewrite <- exp_plus; f_equal; ring).
    pose proof (exp_ineq1_le (y - a)). pose proof (exp_pos a). nra. }
  pose proof (T t 0) as T0. pose proof (T t r) as T1. rewrite exp_0 in T0.
  assert (L : 0 <= t / r <= 1).
  { split; [apply Rmult_le_pos; [lra|left; now apply Rinv_0_lt_compat]|].
    apply Rmult_le_reg_r with r; [auto|]. replace (t / r * r) with t by (field; lra). lra. }
  assert (E : t = t / r * r) by (field; lra).
  assert ((1 - t / r) * (exp t + exp t * (0 - t)) <= (1 - t / r) * 1) by (apply Rmult_le_compat_l; lra).
  assert (t / r * (exp t + exp t * (r - t)) <= t / r * exp r) by (apply Rmult_le_compat_l; lra).
  assert (I : (1 - t / r) * (exp t + exp t * (0 - t)) + t / r * (exp t + exp t * (r - t)) = exp t) by (field; lra).
  lra.
Qed.

Section Range.
Variable Q : prompt.
Hypothesis VQ : valid_prompt Q.
Notation m := (responses Q).

(** KL(pi_ref || pi_x) = log E_ref e^t - E_ref t, t the change of the logits. *)
Lemma KL_cumulant : forall x, KL Q x = ln (E Q (ref Q) (fun k => exp (x k - ref Q k))) - E Q (ref Q) (fun k => x k - ref Q k).
Proof.
  intros x; unfold KL.
  assert (Z : E Q (ref Q) (fun k => exp (x k - ref Q k)) = partition Q x / partition Q (ref Q)).
  { unfold E, pi, Rdiv. unfold partition at 2. rewrite <- Sum_scal_r; apply Sum_ext; intros k Hk.
    pose proof (partition_pos Q VQ (ref Q)). replace (exp (x k)) with (exp (ref Q k) * exp (x k - ref Q k)) by (rewrite <- exp_plus; f_equal; ring).
    field; lra. }
  pose proof (partition_pos Q VQ x) as Px. pose proof (partition_pos Q VQ (ref Q)) as Pr.
  rewrite Z. unfold Rdiv; rewrite ln_mult, ln_Rinv by (auto; now apply Rinv_0_lt_compat).
  rewrite (E_ext Q (ref Q) _ (fun k => (ln (partition Q x) + - ln (partition Q (ref Q))) - (x k - ref Q k))).
  - rewrite (E_minus Q (ref Q) (fun _ => _)), (E_const Q VQ); reflexivity.
  - intros k Hk; rewrite !(log_pi_eq Q VQ) by auto; ring.
Qed.

Definition range_at_most (x : nat -> R) (r : R) : Prop :=
  forall j l, (j < m)%nat -> (l < m)%nat -> (x j - ref Q j) - (x l - ref Q l) <= r.

Theorem C19_range : forall x r, 0 < r -> range_at_most x r -> KL Q x <= K_range r.
Proof.
  intros x r Hr H.
  set (t := fun k => x k - ref Q k).
  destruct (Sum_argmin m t (some_response Q VQ)) as [i [Hi Him]].
  set (s := E Q (ref Q) (fun k => (t k - t i) / r)).
  assert (E0 : E Q (ref Q) t = t i + r * s).
  { unfold s; rewrite <- E_scal.
    rewrite (E_ext Q (ref Q) (fun k => r * ((t k - t i) / r)) (fun k => t k - t i)) by (intros; field; lra).
    rewrite (E_minus Q (ref Q) t), (E_const Q VQ); ring. }
  assert (Er : 1 < exp r) by (rewrite <- exp_0; now apply exp_increasing).
  assert (E1 : E Q (ref Q) (fun k => exp (t k)) <= exp (t i) * (1 + s * (exp r - 1))).
  { apply Rle_trans with (E Q (ref Q) (fun k => exp (t i) + (exp (t i) * (exp r - 1)) * ((t k - t i) / r))).
    - apply (E_le Q VQ); intros k Hk.
      replace (exp (t k)) with (exp (t i) * exp (t k - t i)) by (rewrite <- exp_plus; f_equal; ring).
      pose proof (exp_chord r (t k - t i) Hr) as C. pose proof (Him k Hk). pose proof (H k i Hk Hi) as HH; fold (t k) (t i) in HH.
      assert (C' := C ltac:(unfold t in *; lra)). pose proof (exp_pos (t i)). apply Rmult_le_compat_l with (r := exp (t i)) in C'; lra.
    - rewrite E_plus, (E_const Q VQ), E_scal. fold s. apply Req_le; ring. }
  assert (s0 : 0 <= s).
  { unfold s; rewrite <- (E_const Q VQ (ref Q) 0); apply (E_le Q VQ); intros k Hk. pose proof (Him k Hk).
    apply Rmult_le_pos; [lra|left; now apply Rinv_0_lt_compat]. }
  assert (P1 : 0 < 1 + s * (exp r - 1)) by nra.
  assert (P0 : 0 < E Q (ref Q) (fun k => exp (t k))).
  { apply Sum_pos; [apply some_response; auto|]. intros k Hk; apply Rmult_lt_0_compat; [now apply pi_pos|apply exp_pos]. }
  assert (P2 : 0 < (exp r - 1) / r) by (apply Rdiv_lt_0_compat; lra).
  rewrite KL_cumulant. change (ln (E Q (ref Q) (fun k => exp (t k))) - E Q (ref Q) t <= K_range r). rewrite E0.
  pose proof (ln_le _ _ P0 E1) as L. rewrite ln_mult, ln_exp in L by (auto; apply exp_pos).
  pose proof (ln_tangent (1 + s * (exp r - 1)) ((exp r - 1) / r) P1 P2) as T.
  replace ((1 + s * (exp r - 1)) / ((exp r - 1) / r)) with (r / (exp r - 1) + s * r) in T by (field; lra).
  unfold K_range; lra.
Qed.

(** Hoeffding's form and the linear one. *)
Theorem C19_eighth : forall x r, 0 <= r -> range_at_most x r -> KL Q x <= r^2 / 8.
Proof.
  intros x r Hr H. set (b := fun k => x k - ref Q k).
  pose proof (taylor2 (fun t => KL Q (line (ref Q) b t)) (fun t => KL' Q b (line (ref Q) b t))
    (fun t => fisher2 Q (line (ref Q) b t) b b) (r^2 / 4)
    (C07_gradient Q VQ (ref Q) b) (C07 Q VQ (ref Q) b b)) as T; cbv beta in T.
  assert (L1 : line (ref Q) b 1 = x) by (apply functional_extensionality; intros; unfold line, b; ring).
  assert (L0 : line (ref Q) b 0 = ref Q) by (apply functional_extensionality; intros; unfold line; ring).
  rewrite L1, L0, (KL_ref Q VQ) in T. unfold KL' in T.
  assert (KL Q x <= 0 + (E Q (ref Q) b - E Q (ref Q) b) + r^2 / 4 / 2); [|lra].
  apply T. intros t Ht. rewrite fisher2_diag. apply fisher_popoviciu; auto.
  intros j l Hj Hl. pose proof (H j l Hj Hl). pose proof (H l j Hl Hj). apply Rabs_le; unfold b; lra.
Qed.

Theorem C19_linear : forall x r, range_at_most x r -> KL Q x <= r.
Proof.
  intros x r H. rewrite KL_cumulant. set (t := fun k => x k - ref Q k).
  destruct (Sum_argmin m (fun k => - t k) (some_response Q VQ)) as [i [Hi Him]].
  assert (P0 : 0 < E Q (ref Q) (fun k => exp (t k))).
  { apply Sum_pos; [apply some_response; auto|]. intros k Hk; apply Rmult_lt_0_compat; [now apply pi_pos|apply exp_pos]. }
  assert (U : E Q (ref Q) (fun k => exp (t k)) <= exp (t i)).
  { rewrite <- (E_const Q VQ (ref Q) (exp (t i))); apply (E_le Q VQ); intros k Hk. pose proof (Him k Hk).
    destruct (Req_dec (t k) (t i)) as [->|]; [lra|left; apply exp_increasing; lra]. }
  assert (L : t i - r <= E Q (ref Q) t).
  { rewrite <- (E_const Q VQ (ref Q) (t i - r)); apply (E_le Q VQ); intros k Hk.
    pose proof (H i k Hi Hk) as HH; fold (t i) (t k) in HH; unfold t in *; lra. }
  apply ln_le in U; [|auto]. rewrite ln_exp in U.
  change (ln (E Q (ref Q) (fun k => exp (t k))) - E Q (ref Q) t <= r). lra.
Qed.
End Range.

(** K(R) is attained: two responses, the second with reference mass s = 1/R - 1/(e^R - 1), raised by R.
    So K(R) <= R^2/8 and K(R) <= R follow from the bounds on KL. *)
Definition extremal (s : R) : prompt := {|
  responses := 2; base := fun k => match k with O => 1 - s | _ => s end;
  pref := fun _ _ => / 2; ref := fun _ => 0; beta := 1 |}.
Definition raised (r : R) (k : nat) : R := match k with O => 0 | _ => r end.

Lemma extremal_valid : forall s, 0 < s < 1 -> valid_prompt (extremal s).
Proof. intros s Hs; constructor; simpl; [lia|intros [|k] Hk; lra|intros; field|intros; lra]. Qed.

Lemma extremal_mass : forall r, 0 < r -> 0 < / r - / (exp r - 1) < 1.
Proof.
  intros r Hr. assert (E1 : r < exp r - 1) by (pose proof (exp_ineq1 r ltac:(lra)); lra).
  assert (E2 : r * exp r > exp r - 1).
  { pose proof (exp_ineq1 (- r) ltac:(lra)) as X. rewrite exp_Ropp in X. pose proof (exp_pos r).
    apply Rmult_lt_compat_l with (r := exp r) in X; [|auto]. rewrite Rinv_r in X by lra. lra. }
  split.
  - assert (/ (exp r - 1) < / r); [|lra]. apply Rinv_lt_contravar; [apply Rmult_lt_0_compat; lra|lra].
  - assert (X : 0 < exp r - 1) by lra.
    apply Rmult_lt_reg_r with (r * (exp r - 1)); [now apply Rmult_lt_0_compat|].
    replace ((/ r - / (exp r - 1)) * (r * (exp r - 1))) with ((exp r - 1) - r) by (field; lra). lra.
Qed.

Theorem C19_range_attained : forall r, 0 < r -> exists s, 0 < s < 1 /\
  range_at_most (extremal s) (raised r) r /\ KL (extremal s) (raised r) = K_range r.
Proof.
  intros r Hr. pose proof (extremal_mass r Hr) as Hs. set (s := / r - / (exp r - 1)) in *.
  assert (E1 : 1 < exp r) by (rewrite <- exp_0; now apply exp_increasing).
  exists s; split; [auto|split].
  - intros j l Hj Hl; simpl in *; destruct j, l; simpl; lra.
  - rewrite (KL_cumulant _ (extremal_valid s Hs)).
    assert (Ee : forall f, E (extremal s) (ref (extremal s)) f = (1 - s) * f O + s * f 1%nat).
    { intros; unfold E, pi, partition; simpl; rewrite exp_0; field; lra. }
    rewrite !Ee; simpl. rewrite !Rminus_0_r, exp_0. unfold K_range.
    replace ((1 - s) * 1 + s * exp r) with ((exp r - 1) / r) by (unfold s; field; lra).
    unfold s; field; lra.
Qed.

Theorem K_range_le : forall r, 0 < r -> K_range r <= r^2 / 8 /\ K_range r <= r.
Proof.
  intros r Hr. destruct (C19_range_attained r Hr) as [s [Hs [H E]]]. rewrite <- E. split.
  - apply C19_eighth; auto; [now apply extremal_valid|lra].
  - apply C19_linear; auto; now apply extremal_valid.
Qed.
