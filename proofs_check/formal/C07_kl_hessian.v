(** C07. Along every line, the first derivative of KL(pi_ref || pi_theta) is E_theta b - E_ref b and
    the second is the Fisher form: the Hessian of KL(pi_ref || pi_theta) is F, exactly. *)
Require Import Reals Lra Lia.
From Coquelicot Require Import Coquelicot.
From Sail Require Import Sums Sigmoid Prompt Derivatives.
Open Scope R_scope.

Section C07.
Variable Q : prompt.
Hypothesis VQ : valid_prompt Q.
Notation m := (responses Q).

Lemma log_pi_derive : forall x b k t, (k < m)%nat ->
  is_derive (fun t => log_pi Q (line x b t) k) t (score Q (line x b t) b k).
Proof.
  intros x b k t Hk; unfold log_pi; evar_last.
  - apply (is_derive_comp ln (fun t => pi Q (line x b t) k)); [|now apply pi_derive].
    apply is_derive_Reals, derivable_pt_lim_ln, pi_pos; auto.
  - unfold scal; simpl; unfold mult; simpl.
    pose proof (pi_pos Q VQ (line x b t) k Hk); field; lra.
Qed.

Definition KL' (b x : nat -> R) : R := E Q x b - E Q (ref Q) b.

Theorem C07_gradient : forall x b t, is_derive (fun t => KL Q (line x b t)) t (KL' b (line x b t)).
Proof.
  intros; unfold KL, E at 1; evar_last.
  - apply (Sum_derive m (fun k t => pi Q (ref Q) k * (log_pi Q (ref Q) k - log_pi Q (line x b t) k))
      (fun k => pi Q (ref Q) k * (0 - score Q (line x b t) b k))); intros.
    apply is_derive_scal, (is_derive_minus (fun _ => log_pi Q (ref Q) k) (fun t => log_pi Q (line x b t) k)).
    + apply (is_derive_const (log_pi Q (ref Q) k)).
    + now apply log_pi_derive.
  - change (E Q (ref Q) (fun k => 0 - score Q (line x b t) b k) = KL' b (line x b t)).
    rewrite (E_minus Q (ref Q) (fun _ => 0)), (E_const Q VQ).
    unfold score; rewrite (E_minus Q (ref Q) b), (E_const Q VQ); unfold KL'; ring.
Qed.

Theorem C07 : forall x b c t, is_derive (fun t => KL' b (line x c t)) t (fisher2 Q (line x c t) b c).
Proof.
  intros; unfold KL'; evar_last.
  - apply (is_derive_minus (fun t => E Q (line x c t) b) (fun _ => E Q (ref Q) b)); [now apply mean_derive|apply is_derive_const].
  - unfold minus, plus, opp, zero; simpl; ring.
Qed.

(** KL is nonnegative and 0 at the reference. *)
Lemma KL_nonneg : forall x, 0 <= KL Q x.
Proof.
  intros x; unfold KL.
  assert (A : E Q (ref Q) (fun k => log_pi Q x k - log_pi Q (ref Q) k) <= 0).
  { apply Rle_trans with (E Q (ref Q) (fun k => / pi Q (ref Q) k * pi Q x k - 1)).
    - apply (E_le Q VQ); intros k Hk; unfold log_pi.
      pose proof (pi_pos Q VQ x k Hk) as P1. pose proof (pi_pos Q VQ (ref Q) k Hk) as P2.
      pose proof (Rinv_0_lt_compat _ P2) as P3.
      pose proof (ln_le_sub (/ pi Q (ref Q) k * pi Q x k) ltac:(now apply Rmult_lt_0_compat)) as L.
      rewrite ln_mult, ln_Rinv in L; auto. lra.
    - rewrite (E_minus Q (ref Q) _ (fun _ => 1)), (E_const Q VQ). apply Req_le.
      replace (E Q (ref Q) (fun k => / pi Q (ref Q) k * pi Q x k)) with (Sum m (pi Q x)).
      + rewrite (pi_sum Q VQ); ring.
      + unfold E; apply Sum_ext; intros k Hk. pose proof (pi_pos Q VQ (ref Q) k Hk); field; lra. }
  rewrite (E_ext Q (ref Q) (fun k => log_pi Q (ref Q) k - log_pi Q x k) (fun k => (-1) * (log_pi Q x k - log_pi Q (ref Q) k))) by (intros; ring).
  rewrite E_scal; lra.
Qed.

Lemma KL_ref : KL Q (ref Q) = 0.
Proof.
  unfold KL. rewrite (E_ext Q (ref Q) _ (fun _ => 0)) by (intros; ring). now apply E_const.
Qed.
End C07.
