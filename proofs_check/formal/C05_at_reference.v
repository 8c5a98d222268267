(** C05. When is J strongly concave near the reference? By C03 the curvature there is
    4 beta E[(pbar - 1/2 - beta/8)(v . s)^2]: negative when pbar < 1/2 + beta/8 for every response, wherever the
    Fisher form is positive; for all preferences, m and references at once when beta >= 4, and only then. *)
Require Import Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
From Sail Require Import Sums Sigmoid Prompt C02_hessian C03_reference_hessian.
Open Scope R_scope.

Section C05.
Variable Q : prompt.
Hypothesis VQ : valid_prompt Q.
Notation m := (responses Q). Notation r := (ref Q).

Theorem C05_sufficient : forall b, 0 < beta Q -> (forall k, (k < m)%nat -> pbar Q k < / 2 + beta Q / 8) ->
  0 < fisher Q r b -> J'' Q b b r < 0.
Proof.
  intros b Hb H F. rewrite (C03 Q VQ).
  assert (N : E Q r (fun k => (pbar Q k - / 2 - beta Q / 8) * (score Q r b k)^2) < 0); [|nra].
  destruct (Rlt_dec (E Q r (fun k => (pbar Q k - / 2 - beta Q / 8) * (score Q r b k)^2)) 0) as [|N]; [auto|exfalso].
  (* a sum of nonpositive terms that is not negative vanishes term by term *)
  assert (Z : forall k, (k < m)%nat -> score Q r b k = 0).
  { intros k Hk. destruct (Req_dec (score Q r b k) 0) as [|NZ]; [auto|exfalso; apply N].
    assert (T : pi Q r k * - ((pbar Q k - / 2 - beta Q / 8) * (score Q r b k)^2)
      <= Sum m (fun k => pi Q r k * - ((pbar Q k - / 2 - beta Q / 8) * (score Q r b k)^2))).
    { apply (Sum_term_le m (fun k => pi Q r k * - ((pbar Q k - / 2 - beta Q / 8) * (score Q r b k)^2))); auto.
      intros j Hj; pose proof (H j Hj); pose proof (pi_pos Q VQ r j Hj); pose proof (pow2_ge_0 (score Q r b j)).
      apply Rmult_le_pos; [lra|nra]. }
    assert (Ex : Sum m (fun k => pi Q r k * - ((pbar Q k - / 2 - beta Q / 8) * (score Q r b k)^2))
      = - E Q r (fun k => (pbar Q k - / 2 - beta Q / 8) * (score Q r b k)^2)).
    { unfold E. transitivity (-1 * Sum m (fun k => pi Q r k * ((pbar Q k - / 2 - beta Q / 8) * (score Q r b k)^2))); [|ring].
      rewrite <- Sum_scal; apply Sum_ext; intros; ring. }
    pose proof (pi_pos Q VQ r k Hk) as Pk. pose proof (H k Hk) as Hk'.
    assert (0 < (score Q r b k)^2) by (pose proof (pow2_ge_0 (score Q r b k)); assert ((score Q r b k)^2 <> 0) by (apply pow_nonzero; auto); lra).
    assert (0 < pi Q r k * - ((pbar Q k - / 2 - beta Q / 8) * (score Q r b k)^2)) by (apply Rmult_lt_0_compat; nra). lra. }
  unfold fisher in F. rewrite (E_ext Q r _ (fun _ => 0)), (E_const Q VQ) in F; [lra|].
  intros k Hk; rewrite (Z k Hk); ring.
Qed.

(** beta >= 4 is enough for all preferences, m and references at once. *)
Theorem C05_beta_four : forall b, 4 <= beta Q -> 0 < fisher Q r b -> J'' Q b b r < 0.
Proof.
  intros b Hb F. apply C05_sufficient; auto; [lra|]. intros k Hk. pose proof (pbar_lt_1 Q VQ k Hk). lra.
Qed.
End C05.

(** beta >= 4 cannot be lowered: below it a pair has positive curvature at the reference. *)
Theorem C05_sharp : forall beta_, 0 < beta_ < 4 -> exists t, 0 < t < 1 /\ 0 < J'' (two t beta_) first first (fun _ => 0).
Proof.
  intros beta_ Hb. exists ((4 - beta_) / 16). split; [lra|]. rewrite two_curvature by lra.
  repeat apply Rmult_lt_0_compat; lra.
Qed.
