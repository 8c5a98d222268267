(** C04. "J is concave" is false: two exact witnesses at the reference, beta = 1/10.
    (i) m = 2, pi_ref = (1/4, 3/4), p_12 = 1: F = 3/16, J'' = 57/3200.
    (ii) m = 3, uniform, y_1 wins, the others tie: F = 2/9, J'' = (beta/9)(4/3 - beta) = 37/2700. *)
Require Import Reals Lra Lia.
From Coquelicot Require Import Coquelicot.
From Sail Require Import Sums Sigmoid Prompt C02_hessian C03_reference_hessian.
Open Scope R_scope.

Theorem C04_i : fisher (two (1/4) (1/10)) (fun _ => 0) first = 3/16 /\
  J'' (two (1/4) (1/10)) first first (fun _ => 0) = 57/3200.
Proof. rewrite two_fisher, two_curvature by lra. split; field. Qed.

Definition one_winner (beta_ : R) : prompt := {|
  responses := 3; base := fun _ => 1;
  pref := fun k l => match k, l with O, S _ => 1 | S _, O => 0 | _, _ => / 2 end;
  ref := fun _ => 0; beta := beta_ |}.

Lemma one_winner_valid : forall beta_, valid_prompt (one_winner beta_).
Proof.
  intros; constructor; simpl; [lia|intros; lra|intros [|k] [|l] Hk Hl; lra|intros [|k] [|l] Hk Hl; lra].
Qed.

Lemma one_winner_E : forall beta_ f, E (one_winner beta_) (fun _ => 0) f = / 3 * f O + / 3 * f 1%nat + / 3 * f 2%nat.
Proof. intros; unfold E, pi, partition; simpl; rewrite exp_0. field. Qed.

Theorem C04_ii : forall beta_, fisher (one_winner beta_) (fun _ => 0) first = 2/9 /\
  J'' (one_winner beta_) first first (fun _ => 0) = beta_ / 9 * (4/3 - beta_).
Proof.
  intros; split.
  - unfold fisher, score; rewrite !one_winner_E; simpl; field.
  - change (fun _ : nat => 0) with (ref (one_winner beta_)). rewrite (C03 _ (one_winner_valid beta_)).
    unfold pbar, score. simpl (ref (one_winner beta_)). rewrite !one_winner_E. simpl. field.
Qed.

Corollary C04 : ~ (forall Q, valid_prompt Q -> forall b x, J'' Q b b x <= 0).
Proof.
  intros H. pose proof (H _ (two_valid (1/4) (1/10) ltac:(lra)) first (fun _ => 0)) as N.
  destruct C04_i as [_ E]. rewrite E in N. lra.
Qed.
