(** C11 (ii). Hess J_x <= (-2 J_x + 2 c_0 beta^2) F_x, c_0 = max over s of (1 - s)^2/(-ln s) - s (1 - s), which
    lies in [0.26201, 0.26202]. *)
Require Import Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
From Sail Require Import Numbers Sums Sigmoid Prompt C02_hessian C11_relative_curvature.
Open Scope R_scope.

Lemma c0_middle : forall s, 1/50 <= s <= 1/2 -> (1 - s)^2 <= (26202/100000 + s * (1 - s)) * (- ln s).
Proof.
  intros s H.
  assert (0 <= (26202/100000 + s * (1 - s)) * (- ln s) - (1 - s)^2); [|lra].
  interval with (i_prec 60, i_bisect s, i_taylor s, i_depth 20).
Qed.

Theorem c0_upper : forall s, 0 < s < 1 -> (1 - s)^2 / (- ln s) - s * (1 - s) <= 26202/100000.
Proof.
  intros s [H0 H1].
  assert (L : 0 < - ln s) by (assert (ln s < ln 1) by (apply ln_increasing; lra); rewrite ln_1 in H; lra).
  assert (M : (1 - s)^2 <= (26202/100000 + s * (1 - s)) * (- ln s)).
  { destruct (Rle_dec s (1/50)) as [A|A].
    - assert (39/10 <= - ln s).
      { assert (ln s <= ln (1/50)) by (apply ln_le; lra).
        assert (39/10 <= - ln (1/50)) by interval with (i_prec 60). lra. }
      assert (P0 : 0 <= s * (1 - s)) by (apply Rmult_le_pos; lra).
      assert ((1 - s)^2 <= 1^2) by (apply pow_incr; lra).
      assert (26202/100000 * (39/10) <= (26202/100000 + s * (1 - s)) * (- ln s)) by (apply Rmult_le_compat; lra).
      lra.
    - destruct (Rle_dec s (1/2)) as [Bd|Bd]; [apply c0_middle; lra|].
      pose proof (ln_le_sub s H0) as Ls.
      assert (W : 1 - s <= 26202/100000 + s * (1 - s)).
      { assert ((1 - s)^2 <= (1/2)^2) by (apply pow_incr; lra). lra. }
      assert ((1 - s) * (1 - s) <= (26202/100000 + s * (1 - s)) * (- ln s)) by (apply Rmult_le_compat; lra).
      lra. }
  apply Rmult_le_reg_r with (- ln s); [auto|].
  replace (((1 - s)^2 / (- ln s) - s * (1 - s)) * (- ln s)) with ((1 - s)^2 - s * (1 - s) * (- ln s)) by (field; lra). lra.
Qed.

Theorem c0_lower : exists s, 0 < s < 1 /\ 26201/100000 <= (1 - s)^2 / (- ln s) - s * (1 - s).
Proof. exists (9157/100000). split; [lra|]. interval with (i_prec 60). Qed.

Lemma inner_0 : forall z, inner 0 z <= 26202/100000.
Proof.
  intros z; unfold inner, sigma'. rewrite sigma_opp. unfold log_sigma.
  pose proof (sigma_pos z); pose proof (sigma_lt1 z).
  replace (0 - ln (sigma z)) with (- ln (sigma z)) by ring. now apply c0_upper.
Qed.

Theorem C11_ii : forall Q, valid_prompt Q -> forall x v,
  J'' Q v v x <= (-2 * J Q x + 2 * (26202/100000) * (beta Q)^2) * fisher Q x v.
Proof.
  intros Q VQ x v. destruct (margins_bounded Q x) as [Z HZ].
  eapply Rle_trans; [apply (C11 Q VQ x v Z 0 (26202/100000)); auto|].
  - apply log_sigma_neg.
  - intros; apply inner_0.
  - apply Req_le; ring.
Qed.
