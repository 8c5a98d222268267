(** C08. KL(pi_theta || pi_ref): gradient F delta, Hessian E[(1 + delta . s) s s^T]. It is convex where the range
    R of delta . phi is at most 1, and not in general: so C11 needs KL(pi_ref || pi_theta). *)
Require Import Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
From Sail Require Import Numbers Sums Sigmoid Prompt Derivatives C02_hessian C07_kl_hessian Problem Objectives Evaluate.
Open Scope R_scope.

Section C08.
Variable Q : prompt.
Hypothesis VQ : valid_prompt Q.
Notation m := (responses Q).

Definition KL_other (x : nat -> R) : R := E Q x (fun k => log_pi Q x k - log_pi Q (ref Q) k).
Definition shift_from_ref (x : nat -> R) (k : nat) : R := x k - ref Q k.
Definition KL_other'' (b c x : nat -> R) : R :=
  E Q x (fun k => (1 + score Q x (shift_from_ref x) k) * (score Q x b k * score Q x c k)).

Lemma log_ratio_score : forall x b,
  E Q x (fun k => (log_pi Q x k - log_pi Q (ref Q) k) * score Q x b k) = fisher2 Q x (shift_from_ref x) b.
Proof.
  intros x b.
  rewrite (E_ext Q x _ (fun k => score Q x (shift_from_ref x) k * score Q x b k
     + (E Q x (shift_from_ref x) - ln (partition Q x) + ln (partition Q (ref Q))) * score Q x b k)).
  - rewrite E_plus, E_scal, (score_mean Q VQ). unfold fisher2; ring.
  - intros k Hk; rewrite !(log_pi_eq Q VQ) by auto. unfold score at 2, shift_from_ref; ring.
Qed.

Theorem C08_gradient : forall x b t,
  is_derive (fun t => KL_other (line x b t)) t (fisher2 Q (line x b t) (shift_from_ref (line x b t)) b).
Proof.
  intros x b t; unfold KL_other; evar_last.
  - apply (E_derive Q VQ x b (fun k t => log_pi Q (line x b t) k - log_pi Q (ref Q) k) (fun k => score Q (line x b t) b k)).
    intros k Hk. evar_last.
    + apply (is_derive_minus (fun t => log_pi Q (line x b t) k) (fun _ => log_pi Q (ref Q) k)); [now apply log_pi_derive|apply is_derive_const].
    + unfold minus, plus, opp, zero; simpl; ring.
  - rewrite E_plus, (score_mean Q VQ), log_ratio_score; ring.
Qed.

Theorem C08_hessian : forall x b c t,
  is_derive (fun t => fisher2 Q (line x c t) (shift_from_ref (line x c t)) b) t (KL_other'' b c (line x c t)).
Proof.
  intros x b c t.
  apply (is_derive_ext (fun t => E Q (line x c t) (fun k => shift_from_ref (line x c t) k * score Q (line x c t) b k))).
  { intros s. unfold fisher2. rewrite (E_ext Q (line x c s) (fun k => score Q (line x c s) (shift_from_ref (line x c s)) k * score Q (line x c s) b k)
      (fun k => shift_from_ref (line x c s) k * score Q (line x c s) b k + (- E Q (line x c s) (shift_from_ref (line x c s))) * score Q (line x c s) b k)).
    - rewrite E_plus, E_scal, (score_mean Q VQ); R_ring.
    - intros; unfold score at 1; ring. }
  evar_last.
  - apply (E_derive Q VQ x c (fun k t => shift_from_ref (line x c t) k * score Q (line x c t) b k)
      (fun k => c k * score Q (line x c t) b k + shift_from_ref (line x c t) k * (- fisher2 Q (line x c t) b c))).
    intros k Hk. apply (is_derive_mult (fun t => shift_from_ref (line x c t) k) (fun t => score Q (line x c t) b k)).
    + unfold shift_from_ref, line; auto_derive; [trivial|ring].
    + now apply score_derive.
    + intros; apply Rmult_comm.
  - set (y := line x c t). unfold KL_other''.
    rewrite (E_ext Q y (fun k => (1 + score Q y (shift_from_ref y) k) * (score Q y b k * score Q y c k))
      (fun k => ((c k * score Q y b k + shift_from_ref y k * (- fisher2 Q y b c)) + shift_from_ref y k * score Q y b k * score Q y c k)
        + ((- E Q y c) * score Q y b k + ((- E Q y (shift_from_ref y)) * (score Q y b k * score Q y c k) + fisher2 Q y b c * shift_from_ref y k)))).
    + rewrite (E_plus Q y (fun k => _ + _ + _ * _ * _)), !(E_plus Q y (fun k => _ * score Q y b k)), (E_plus Q y (fun k => _ * (_ * _))), !E_scal, (score_mean Q VQ).
      unfold fisher2. ring.
    + intros k Hk; unfold score; ring.
Qed.

(** Convex where the range of delta . phi is at most 1. *)
Theorem C08_convex : forall x b, (forall j l, (j < m)%nat -> (l < m)%nat -> shift_from_ref x j - shift_from_ref x l <= 1) ->
  0 <= KL_other'' b b x.
Proof.
  intros x b H; unfold KL_other''. rewrite <- (E_const Q VQ x 0). apply (E_le Q VQ); intros k Hk.
  apply Rmult_le_pos; [|nra].
  assert (E Q x (shift_from_ref x) <= shift_from_ref x k + 1); [|unfold score; lra].
  rewrite <- (E_const Q VQ x (shift_from_ref x k + 1)); apply (E_le Q VQ); intros j Hj.
  pose proof (H j k Hj Hk). lra.
Qed.
End C08.

(** Two responses, features +1 and -1, p_12 = 1, beta = 1/10, theta_ref = 0. *)
Definition pair : prompt := {|
  responses := 2; base := fun _ => 1;
  pref := fun k l => match k, l with O, S _ => 1 | S _, O => 0 | _, _ => / 2 end;
  ref := fun _ => 0; beta := 1 / 10 |}.
Definition pair_at (theta : R) (k : nat) : R := match k with O => theta | _ => - theta end.

Lemma pair_valid : valid_prompt pair.
Proof.
  constructor; simpl; [lia|intros; lra|intros [|k] [|l] Hk Hl; lra|intros [|k] [|l] Hk Hl; lra].
Qed.

(** KL(pi_theta || pi_ref) bends down at theta = 1: -0.2197... *)
Theorem C08b : KL_other'' pair (pair_at 1) (pair_at 1) (pair_at 1) <= - 2197 / 10000.
Proof. unfold KL_other'', shift_from_ref, pair, pair_at; numbers. Qed.

(** No gamma >= 0 makes J - gamma KL(pi_theta || pi_ref) concave on |theta| <= 1. *)
Theorem C08_no_gamma : forall gamma, 0 <= gamma ->
  0 < J'' pair (pair_at 1) (pair_at 1) (pair_at (-1)) - gamma * KL_other'' pair (pair_at 1) (pair_at 1) (pair_at (-1)).
Proof.
  intros gamma Hg.
  assert (0 < J'' pair (pair_at 1) (pair_at 1) (pair_at (-1))) by (unfold pair, pair_at; numbers).
  assert (KL_other'' pair (pair_at 1) (pair_at 1) (pair_at (-1)) <= 0) by (unfold KL_other'', shift_from_ref, pair, pair_at; numbers).
  nra.
Qed.
