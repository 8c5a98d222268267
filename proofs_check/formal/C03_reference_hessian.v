(** C03. At the reference the score term vanishes and v^T (Hess J) v = 4 beta E[(pbar - 1/2 - beta/8)(v . s)^2],
    pbar(y) the chance that y beats a draw from pi_ref. *)
Require Import Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
From Sail Require Import Sums Sigmoid Prompt C02_hessian.
Open Scope R_scope.

Section C03.
Variable Q : prompt.
Hypothesis VQ : valid_prompt Q.
Notation m := (responses Q). Notation r := (ref Q).

Definition pbar (k : nat) : R := E Q r (fun l => pref Q k l).

Theorem C03 : forall b, J'' Q b b r = 4 * beta Q * E Q r (fun k => (pbar k - / 2 - beta Q / 8) * (score Q r b k)^2).
Proof.
  intros b. rewrite (C02_baseline Q VQ b r (- ln 2)).
  set (s := score Q r b).
  assert (S1 : E2 Q r (fun k l => pref Q k l * (s k)^2) = E Q r (fun k => pbar k * (s k)^2)).
  { unfold E2, pbar; apply E_ext; intros. rewrite Rmult_comm, <- E_scal; apply E_ext; intros; ring. }
  assert (S2 : E2 Q r (fun k l => pref Q k l * (s l)^2) = fisher Q r b - E Q r (fun k => pbar k * (s k)^2)).
  { rewrite E2_sym, <- S1. unfold fisher; rewrite <- (E2_l Q VQ r (fun k => score Q r b k ^ 2)), <- E2_minus.
    apply E2_ext; intros k l Hk Hl. pose proof (pref_sum Q VQ k l Hk Hl). replace (pref Q l k) with (1 - pref Q k l) by lra.
    unfold s; ring. }
  transitivity (E2 Q r (fun k l => (2 * beta Q * (pref Q k l * (s k)^2) - 2 * beta Q * (pref Q k l * (s l)^2))
      - ((beta Q * (s k)^2 - beta Q * (s l)^2) + ((beta Q)^2 / 4) * (minus_score b k l)^2))).
  - apply E2_ext; intros k l Hk Hl.
    assert (G : payoff Q log_sigma r k l = - ln 2).
    { unfold payoff. rewrite margin_ref, Ropp_0, log_sigma_0. pose proof (pref_sum Q VQ k l Hk Hl).
      replace (pref Q l k) with (1 - pref Q k l) by lra; ring. }
    rewrite G. unfold u, sigma'. rewrite margin_ref, Ropp_0, sigma_0. unfold plus_score.
    rewrite (minus_score_eq Q r). fold s. field.
  - rewrite !E2_minus, E2_plus, !E2_minus, !E2_scal, S1, S2, (E2_minus2 Q VQ).
    rewrite (E2_l Q VQ r (fun k => (s k)^2)), (E2_r Q VQ r (fun l => (s l)^2)).
    assert (D : E Q r (fun k => (pbar k - / 2 - beta Q / 8) * (s k)^2)
      = E Q r (fun k => pbar k * (s k)^2) - (/ 2 + beta Q / 8) * fisher Q r b).
    { unfold fisher; rewrite <- E_scal, <- E_minus; apply E_ext; intros; unfold s; ring. }
    rewrite D. field.
Qed.

Lemma pbar_lt_1 : forall k, (k < m)%nat -> pbar k < 1.
Proof.
  intros k Hk. unfold pbar.
  pose proof (pi_pos Q VQ r k Hk) as P.
  assert (D : 0 < E Q r (fun l => 1 - pref Q k l)).
  { unfold E; cbv beta. eapply Rlt_le_trans; [|apply (Sum_term_le m (fun l => pi Q r l * (1 - pref Q k l)) k Hk)].
    - pose proof (pref_sum Q VQ k k Hk Hk). apply Rmult_lt_0_compat; lra.
    - intros l Hl. pose proof (pref_01 Q VQ k l Hk Hl). apply Rmult_le_pos; [left; now apply pi_pos|lra]. }
  rewrite (E_minus Q r (fun _ => 1) (fun l => pref Q k l)), (E_const Q VQ) in D. lra.
Qed.
End C03.


(** Two responses, p_12 = 1, reference (t, 1 - t). *)
Definition two (t beta_ : R) : prompt := {|
  responses := 2; base := fun k => match k with O => t | _ => 1 - t end;
  pref := fun k l => match k, l with O, S _ => 1 | S _, O => 0 | _, _ => / 2 end;
  ref := fun _ => 0; beta := beta_ |}.
Definition first (k : nat) : R := match k with O => 1 | _ => 0 end.

Lemma two_valid : forall t beta_, 0 < t < 1 -> valid_prompt (two t beta_).
Proof.
  intros t beta_ Ht; constructor; simpl.
  - lia.
  - intros [|k] Hk; lra.
  - intros [|k] [|l] Hk Hl; lra.
  - intros [|k] [|l] Hk Hl; lra.
Qed.

Lemma two_pi : forall t beta_ k, 0 < t < 1 -> (k < 2)%nat -> pi (two t beta_) (fun _ => 0) k = match k with O => t | _ => 1 - t end.
Proof.
  intros t beta_ k Ht Hk; unfold pi, partition; simpl; rewrite exp_0.
  destruct k as [|[|k]]; [| |lia]; simpl; field; lra.
Qed.

Lemma two_E : forall t beta_ f, 0 < t < 1 -> E (two t beta_) (fun _ => 0) f = t * f O + (1 - t) * f 1%nat.
Proof. intros; unfold E; simpl; rewrite !two_pi by (auto; lia); simpl; ring. Qed.

Lemma two_fisher : forall t beta_, 0 < t < 1 -> fisher (two t beta_) (fun _ => 0) first = t * (1 - t).
Proof. intros; unfold fisher, score; rewrite !two_E by auto; simpl; ring. Qed.

Lemma two_curvature : forall t beta_, 0 < t < 1 ->
  J'' (two t beta_) first first (fun _ => 0) = 4 * beta_ * (t * (1 - t)) * ((1 - 2 * t) / 2 - beta_ / 8).
Proof.
  intros t beta_ Ht. change (fun _ : nat => 0) with (ref (two t beta_)). rewrite (C03 (two t beta_) (two_valid t beta_ Ht)).
  unfold pbar, score. simpl (ref (two t beta_)). rewrite !two_E by auto. simpl. field.
Qed.
