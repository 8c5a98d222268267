(** Finite sums and maxima over {0, ..., n-1}: the few facts that the proofs use. *)
Require Import Reals Lra Lia.
From Coquelicot Require Import Coquelicot.
Open Scope R_scope.

Fixpoint Sum (n : nat) (f : nat -> R) : R :=
  match n with O => 0 | S k => Sum k f + f k end.

(** The largest of 0 and f 0, ..., f (n-1). *)
Fixpoint Max (n : nat) (f : nat -> R) : R :=
  match n with O => 0 | S k => Rmax (Max k f) (f k) end.

Lemma Sum_ext : forall n f g, (forall k, (k < n)%nat -> f k = g k) -> Sum n f = Sum n g.
Proof.
  induction n; intros f g H; simpl; [reflexivity|].
  rewrite (IHn f g), (H n); auto; intros; apply H; lia.
Qed.

Lemma Sum_le : forall n f g, (forall k, (k < n)%nat -> f k <= g k) -> Sum n f <= Sum n g.
Proof.
  induction n; intros f g H; simpl; [lra|].
  apply Rplus_le_compat; [apply IHn; intros; apply H; lia | apply H; lia].
Qed.

Lemma Sum_0 : forall n, Sum n (fun _ => 0) = 0.
Proof. induction n; simpl; lra. Qed.

Lemma Sum_plus : forall n f g, Sum n (fun k => f k + g k) = Sum n f + Sum n g.
Proof. induction n; intros; simpl; [lra|rewrite IHn; lra]. Qed.

Lemma Sum_minus : forall n f g, Sum n (fun k => f k - g k) = Sum n f - Sum n g.
Proof. induction n; intros; simpl; [lra|rewrite IHn; lra]. Qed.

Lemma Sum_scal : forall n c f, Sum n (fun k => c * f k) = c * Sum n f.
Proof. induction n; intros; simpl; [lra|rewrite IHn; lra]. Qed.

Lemma Sum_scal_r : forall n c f, Sum n (fun k => f k * c) = Sum n f * c.
Proof. induction n; intros; simpl; [lra|rewrite IHn; lra]. Qed.

Lemma Sum_nonneg : forall n f, (forall k, (k < n)%nat -> 0 <= f k) -> 0 <= Sum n f.
Proof. intros n f H; rewrite <- (Sum_0 n); now apply Sum_le. Qed.

Lemma Sum_pos : forall n f, (0 < n)%nat -> (forall k, (k < n)%nat -> 0 < f k) -> 0 < Sum n f.
Proof.
  destruct n; intros f H P; [lia|]; simpl.
  apply Rplus_le_lt_0_compat; [|apply P; lia].
  apply Sum_nonneg; intros; apply Rlt_le, P; lia.
Qed.

Lemma Sum_swap : forall n m (f : nat -> nat -> R),
  Sum n (fun k => Sum m (fun l => f k l)) = Sum m (fun l => Sum n (fun k => f k l)).
Proof.
  induction n; intros m f; simpl; [now rewrite Sum_0|].
  now rewrite IHn, Sum_plus.
Qed.

Lemma Sum_term_le : forall n f j, (j < n)%nat -> (forall k, (k < n)%nat -> 0 <= f k) -> f j <= Sum n f.
Proof.
  induction n; intros f j Hj H; simpl; [lia|].
  destruct (Nat.eq_dec j n) as [->|D].
  - assert (0 <= Sum n f) by (apply Sum_nonneg; intros; apply H; lia). lra.
  - assert (f j <= Sum n f) by (apply IHn; [lia|intros; apply H; lia]).
    assert (0 <= f n) by (apply H; lia). lra.
Qed.

Lemma Sum_derive : forall n (f : nat -> R -> R) (f' : nat -> R) t,
  (forall k, (k < n)%nat -> is_derive (f k) t (f' k)) ->
  is_derive (fun t => Sum n (fun k => f k t)) t (Sum n f').
Proof.
  induction n; intros f f' t H; simpl.
  - apply (is_derive_const 0).
  - apply (is_derive_plus (fun t => Sum n (fun k => f k t)) (f n)).
    + apply IHn; intros; apply H; lia.
    + apply H; lia.
Qed.

(** The minimum of a nonempty finite family is attained. *)
Lemma Sum_argmin : forall n (f : nat -> R), (0 < n)%nat ->
  exists j, (j < n)%nat /\ forall k, (k < n)%nat -> f j <= f k.
Proof.
  induction n; intros f H; [lia|].
  destruct n.
  - exists O; split; [lia|]; intros; replace k with O by lia; lra.
  - destruct (IHn f) as [j [Hj Hm]]; [lia|].
    destruct (Rle_dec (f j) (f (S n))) as [L|L].
    + exists j; split; [lia|]; intros k Hk.
      destruct (Nat.eq_dec k (S n)) as [->|]; [exact L|apply Hm; lia].
    + exists (S n); split; [lia|]; intros k Hk.
      destruct (Nat.eq_dec k (S n)) as [->|]; [lra|].
      assert (f j <= f k) by (apply Hm; lia). lra.
Qed.

(** Cauchy-Schwarz. *)
Lemma Sum_cs : forall n f g,
  (Sum n (fun k => f k * g k))^2 <= Sum n (fun k => f k ^ 2) * Sum n (fun k => g k ^ 2).
Proof.
  intros n f g.
  set (A := Sum n (fun k => f k ^ 2)); set (B := Sum n (fun k => g k ^ 2));
  set (C := Sum n (fun k => f k * g k)).
  assert (HA : 0 <= A) by (apply Sum_nonneg; intros; apply pow2_ge_0).
  assert (HB : 0 <= B) by (apply Sum_nonneg; intros; apply pow2_ge_0).
  assert (Q : forall x y, 0 <= x^2 * A - 2*x*y*C + y^2 * B).
  { intros x y.
    assert (E : x^2 * A - 2*x*y*C + y^2 * B = Sum n (fun k => (x * f k - y * g k)^2)).
    { unfold A, B, C. rewrite <- !Sum_scal, <- Sum_minus, <- Sum_plus.
      apply Sum_ext; intros; ring. }
    rewrite E; apply Sum_nonneg; intros; apply pow2_ge_0. }
  destruct (Req_dec B 0) as [B0|B0].
  - (* B = 0 forces C = 0 *)
    assert (C = 0).
    { destruct (Req_dec C 0) as [|C0]; [assumption|exfalso].
      pose proof (Q 1 ((A + 1) / (2*C))) as H. rewrite B0 in H.
      replace (1^2 * A - 2*1*((A+1)/(2*C))*C + ((A+1)/(2*C))^2*0) with (-1) in H by (field; lra). lra. }
    rewrite H, B0; lra.
  - pose proof (Q B C) as H.
    assert (H2 : 0 <= B * (A*B - C^2)) by (replace (B * (A*B - C^2)) with (B^2*A - 2*B*C*C + C^2*B) by ring; exact H).
    assert (0 <= A*B - C^2) by (apply Rmult_le_reg_l with B; [lra|lra]). lra.
Qed.

Lemma Max_nonneg : forall n f, 0 <= Max n f.
Proof. induction n; intros f; simpl; [lra|]. eapply Rle_trans; [apply (IHn f)|apply Rmax_l]. Qed.

Lemma Max_ge : forall n f k, (k < n)%nat -> f k <= Max n f.
Proof.
  induction n; intros f k H; simpl; [lia|].
  destruct (Nat.eq_dec k n) as [->|D]; [apply Rmax_r|].
  eapply Rle_trans; [apply IHn; lia|apply Rmax_l].
Qed.

Lemma Max_le : forall n f c, 0 <= c -> (forall k, (k < n)%nat -> f k <= c) -> Max n f <= c.
Proof.
  induction n; intros f c Hc H; simpl; [lra|].
  apply Rmax_lub; [apply IHn; auto; intros; apply H; lia|apply H; lia].
Qed.
