(** C09. F(theta) >= e^-R' F(theta'), R' the range of (theta - theta') . phi, in logits. *)
Require Import Reals Lra Lia.
From Coquelicot Require Import Coquelicot.
From Sail Require Import Sums Sigmoid Prompt.
Open Scope R_scope.

Section C09.
Variable Q : prompt.
Hypothesis VQ : valid_prompt Q.
Notation m := (responses Q).

Lemma pi_ratio : forall x x' r k, (k < m)%nat ->
  (forall j l, (j < m)%nat -> (l < m)%nat -> (x j - x' j) - (x l - x' l) <= r) ->
  exp (- r) * pi Q x' k <= pi Q x k.
Proof.
  intros x x' r k Hk Hr; unfold pi.
  pose proof (partition_pos Q VQ x) as Zx; pose proof (partition_pos Q VQ x') as Zx'.
  assert (A : exp (- r) * exp (x' k) * partition Q x <= exp (x k) * partition Q x').
  { unfold partition; rewrite <- !Sum_scal; apply Sum_le; intros j Hj.
    pose proof (base_pos Q VQ j Hj).
    replace (exp (- r) * exp (x' k) * (base Q j * exp (x j))) with (base Q j * (exp (- r + x' k + x j))) by (rewrite !exp_plus; ring).
    replace (exp (x k) * (base Q j * exp (x' j))) with (base Q j * exp (x k + x' j)) by (rewrite exp_plus; ring).
    apply Rmult_le_compat_l; [lra|].
    pose proof (Hr j k Hj Hk).
    assert (- r + x' k + x j <= x k + x' j) as [L| ->] by lra; [left; now apply exp_increasing|lra]. }
  pose proof (base_pos Q VQ k Hk) as N.
  apply Rmult_le_reg_r with (partition Q x * partition Q x'); [now apply Rmult_lt_0_compat|].
  replace (exp (- r) * (base Q k * exp (x' k) / partition Q x') * (partition Q x * partition Q x'))
    with (base Q k * (exp (- r) * exp (x' k) * partition Q x)) by (field; lra).
  replace (base Q k * exp (x k) / partition Q x * (partition Q x * partition Q x'))
    with (base Q k * (exp (x k) * partition Q x')) by (field; lra).
  apply Rmult_le_compat_l; lra.
Qed.

Theorem C09 : forall x x' r b,
  (forall j l, (j < m)%nat -> (l < m)%nat -> (x j - x' j) - (x l - x' l) <= r) ->
  exp (- r) * fisher Q x' b <= fisher Q x b.
Proof.
  intros x x' r b Hr.
  pose proof (fisher_min Q VQ x' b (E Q x b)) as M.
  apply Rle_trans with (exp (- r) * E Q x' (fun k => (b k - E Q x b)^2)).
  - apply Rmult_le_compat_l; [apply Rlt_le, exp_pos|exact M].
  - unfold fisher, E at 1 3. rewrite <- Sum_scal; apply Sum_le; intros k Hk.
    unfold score. rewrite <- Rmult_assoc. apply Rmult_le_compat_r; [apply pow2_ge_0|now apply pi_ratio].
Qed.
End C09.
