(** C36, C29. The field V = beta E[u Delta]: the gradient of J without its score term, online DPO's.

      sym DV <= K_V F,   K_V = 2 b + 2 beta^2 sup_{|z| <= Z} [G1^2/(4 b) + G2]  for any b > 0 (any payoff);
      sym DV <= (2 beta sigma(Z) - 2 beta^2 sigma'(Z)) F <= 2 beta F            for log sigma.

    So for gamma > 2 beta the field V - gamma grad KL(pi_ref || pi_theta) is strongly monotone on C along S
    and has one zero in the sense of the variational inequality, for all theta, preferences, m, B. *)
Require Import Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
From Sail Require Import Sums Vectors Sigmoid Prompt Derivatives C01_gradient C02_hessian C07_kl_hessian C35_any_payoff
  C11_relative_curvature Ascent Problem Objectives C12_strong_concavity Monotone.
Open Scope R_scope.

Section OnePrompt.
Variable Q : prompt.
Hypothesis VQ : valid_prompt Q.
Variables G1 G2 : R -> R.
Hypothesis HG : forall z, is_derive G1 z (G2 z).
Notation m := (responses Q). Notation b_ := (beta Q).

Definition no_score (b x : nat -> R) : R := E2 Q x (fun k l => b_ * slope Q G1 x k l * minus_score b k l).
Definition no_score' (b c x : nat -> R) : R :=
  E2 Q x (fun k l => b_ * slope Q G1 x k l * (minus_score b k l * plus_score Q x c k l)
    + b_^2 * payoff Q G2 x k l * (minus_score b k l * minus_score c k l)).

Theorem no_score_derive : forall x b c t, is_derive (fun t => no_score b (line x c t)) t (no_score' b c (line x c t)).
Proof.
  intros; unfold no_score; evar_last.
  - apply (E2_derive Q VQ x c (fun k l t => b_ * slope Q G1 (line x c t) k l * minus_score b k l)
      (fun k l => b_ * minus_score b k l * (payoff Q G2 (line x c t) k l * (b_ * minus_score c k l)))).
    intros k l Hk Hl.
    apply (is_derive_ext (fun t => (b_ * minus_score b k l) * slope Q G1 (line x c t) k l)); [intros; R_ring|].
    apply is_derive_scal; now apply slope_derive.
  - apply E2_ext; intros; ring.
Qed.

Lemma no_score_linear : forall x, linear m (fun b => no_score b x).
Proof.
  intros x; split; unfold no_score; intros.
  - rewrite <- E2_scal, <- E2_plus; apply E2_ext; intros; unfold minus_score; ring.
  - apply E2_ext; intros; unfold minus_score; rewrite !H; auto.
Qed.

(** For any payoff. *)
Theorem C36 : forall x v Z b h, margins_within Q x Z -> 0 < b ->
  (forall z, Rabs z <= Z -> (G1 z)^2 / (4 * b) + G2 z <= h) ->
  no_score' v v x <= (2 * b + 2 * b_^2 * h) * fisher Q x v.
Proof.
  intros x v Z b h HZ Hb Hh.
  assert (B : no_score' v v x <= E2 Q x (fun k l => b * (plus_score Q x v k l)^2 + (b_^2 * h) * (minus_score v k l)^2)).
  { unfold no_score'; apply (E2_le Q VQ); intros k l Hk Hl.
    pose proof (HZ k l Hk Hl) as Hz. set (z := margin Q x k l) in *.
    assert (Hz' : Rabs (- z) <= Z) by now rewrite Rabs_Ropp.
    pose proof (pref_01 Q VQ k l Hk Hl) as Q01. pose proof (pref_sum Q VQ k l Hk Hl) as S. set (q := pref Q k l) in *.
    assert (Eu : slope Q G1 x k l = q * G1 z + (1 - q) * (- G1 (- z))).
    { unfold slope; fold z; fold q; replace (pref Q l k) with (1 - q) by lra; ring. }
    assert (Eh : payoff Q G2 x k l = q * G2 z + (1 - q) * G2 (- z)).
    { unfold payoff; fold z; fold q; replace (pref Q l k) with (1 - q) by lra; ring. }
    assert (U : (slope Q G1 x k l)^2 / (4 * b) + payoff Q G2 x k l <= h).
    { pose proof (Hh z Hz) as h1. pose proof (Hh (- z) Hz') as h0.
      assert (W : 0 < 4 * b) by lra.
      pose proof (quad_over_lin q (G1 z) (- G1 (- z)) _ _ Q01 W W) as QL.
      replace (q * (4 * b) + (1 - q) * (4 * b)) with (4 * b) in QL by ring. rewrite <- Eu in QL.
      replace ((- G1 (- z))^2) with ((G1 (- z))^2) in QL by ring. rewrite Eh.
      assert (q * ((G1 z)^2 / (4 * b) + G2 z) <= q * h) by (apply Rmult_le_compat_l; lra).
      assert ((1 - q) * ((G1 (- z))^2 / (4 * b) + G2 (- z)) <= (1 - q) * h) by (apply Rmult_le_compat_l; lra). lra. }
    set (s := slope Q G1 x k l) in *. set (M := minus_score v k l). set (Pl := plus_score Q x v k l).
    assert (C : b_ * s * (M * Pl) <= b * Pl^2 + b_^2 * (s^2 / (4 * b)) * M^2).
    { assert (0 <= (2 * b * Pl - b_ * s * M)^2 / (4 * b)) by (apply Rmult_le_pos; [apply pow2_ge_0|left; apply Rinv_0_lt_compat; lra]).
      assert (Ex : (2 * b * Pl - b_ * s * M)^2 / (4 * b) = b * Pl^2 - b_ * s * (M * Pl) + b_^2 * (s^2 / (4 * b)) * M^2) by (field; lra). lra. }
    assert (V : 0 <= b_^2 * M^2) by (apply Rmult_le_pos; apply pow2_ge_0).
    pose proof (Rmult_le_compat_l _ _ _ V U). lra. }
  rewrite E2_plus, !E2_scal, (E2_plus2 Q VQ), (E2_minus2 Q VQ) in B. lra.
Qed.
End OnePrompt.

(** Log-sigmoid: the field of online DPO. *)
Section OnlineDPO.
Variable Q : prompt.
Hypothesis VQ : valid_prompt Q.
Hypothesis beta_pos : 0 < beta Q.
Notation m := (responses Q). Notation b_ := (beta Q).
Definition dpo (b x : nat -> R) : R := no_score Q (fun z => sigma (- z)) b x.
Definition dpo' (b c x : nat -> R) : R := no_score' Q (fun z => sigma (- z)) (fun z => - sigma' z) b c x.

Lemma u_abs : forall x Z, margins_within Q x Z -> forall k l, (k < m)%nat -> (l < m)%nat -> Rabs (u Q x k l) <= sigma Z.
Proof.
  intros x Z HZ k l Hk Hl. destruct (abs_range _ Z (HZ k l Hk Hl)) as [Y1 Y2].
  pose proof (pref_01 Q VQ k l Hk Hl). unfold u. set (y := margin Q x k l) in *.
  pose proof (sigma_incr y Z Y1). pose proof (sigma_incr (- y) Z Y2) as S. rewrite sigma_opp in S. apply Rabs_le; lra.
Qed.

Theorem C36_log_sigmoid : forall x v Z, margins_within Q x Z ->
  dpo' v v x <= (2 * b_ * sigma Z - 2 * b_^2 * sigma' Z) * fisher Q x v.
Proof.
  intros x v Z HZ.
  assert (B : dpo' v v x <= E2 Q x (fun k l => (b_ * sigma Z / 2) * (plus_score Q x v k l)^2
     + (b_ * sigma Z / 2 - b_^2 * sigma' Z) * (minus_score v k l)^2)).
  { unfold dpo', no_score'; apply (E2_le Q VQ); intros k l Hk Hl.
    rewrite slope_sail, payoff_sail_even by auto.
    pose proof (u_abs x Z HZ k l Hk Hl) as U. apply Rabs_le_between in U.
    pose proof (sigma'_ge _ Z (HZ k l Hk Hl)) as D.
    set (M := minus_score v k l). set (Pl := plus_score Q x v k l).
    assert (C : u Q x k l * (M * Pl) <= sigma Z / 2 * (Pl^2 + M^2)).
    { pose proof (pow2_ge_0 (Pl - M)). pose proof (pow2_ge_0 (Pl + M)). nra. }
    apply Rmult_le_compat_l with (r := b_) in C; [|lra].
    assert (V : 0 <= b_^2 * M^2) by (apply Rmult_le_pos; apply pow2_ge_0).
    pose proof (Rmult_le_compat_l _ _ _ V D). lra. }
  rewrite E2_plus, !E2_scal, (E2_plus2 Q VQ), (E2_minus2 Q VQ) in B. lra.
Qed.

(** C29: 2 beta, for all theta. *)
Theorem C29_curvature : forall x v, dpo' v v x <= 2 * b_ * fisher Q x v.
Proof.
  intros x v. destruct (margins_bounded Q x) as [Z HZ].
  eapply Rle_trans; [apply (C36_log_sigmoid x v Z HZ)|]. apply Rmult_le_compat_r; [now apply fisher_nonneg|].
  pose proof (sigma_lt1 Z). pose proof (sigma'_pos Z). assert (0 <= b_^2 * sigma' Z) by (apply Rmult_le_pos; [apply pow2_ge_0|lra]). nra.
Qed.

Lemma dpo'_bilinear : forall x v w s, 0 < s ->
  Rabs (dpo' v w x) <= (b_ + b_^2) * (s * fisher Q x v + fisher Q x w / s).
Proof.
  intros x v w s Hs. destruct (margins_bounded Q x) as [Z HZ].
  assert (A : forall e, e = 1 \/ e = -1 -> e * dpo' v w x <= (b_ + b_^2) * (s * fisher Q x v + fisher Q x w / s)).
  { intros e He.
    assert (B : e * dpo' v w x <= E2 Q x (fun k l => ((b_ + b_^2) / 2 * s) * (minus_score v k l)^2
        + ((b_ / 2 / s) * (plus_score Q x w k l)^2 + (b_^2 / 2 / s) * (minus_score w k l)^2))).
    { unfold dpo', no_score'; rewrite <- E2_scal; apply (E2_le Q VQ); intros k l Hk Hl.
      rewrite slope_sail, payoff_sail_even by auto.
      pose proof (u_abs x Z HZ k l Hk Hl) as U. pose proof (sigma_lt1 Z). apply Rabs_le_between in U.
      pose proof (sigma'_pos (margin Q x k l)). pose proof (sigma'_le_quarter (margin Q x k l)).
      set (M := minus_score v k l). set (N := minus_score w k l). set (Pl := plus_score Q x w k l).
      assert (Y : forall a t y, Rabs a <= 1 -> a * (t * y) <= / 2 * (s * t^2 + y^2 / s)).
      { intros a t y Ha. apply Rmult_le_reg_l with (2 * s); [lra|].
        replace (2 * s * (/ 2 * (s * t^2 + y^2 / s))) with ((s * t)^2 + y^2) by (field; lra).
        apply Rabs_le_between in Ha. pose proof (pow2_ge_0 (s * t - y)). pose proof (pow2_ge_0 (s * t + y)). nra. }
      assert (A1 : Rabs (e * u Q x k l) <= 1) by (destruct He as [-> | ->]; apply Rabs_le; lra).
      assert (A2 : Rabs (e * - sigma' (margin Q x k l)) <= 1) by (destruct He as [-> | ->]; apply Rabs_le; lra).
      pose proof (Y _ M Pl A1) as Y1. pose proof (Y _ M N A2) as Y2.
      apply Rmult_le_compat_l with (r := b_) in Y1; [|lra]. apply Rmult_le_compat_l with (r := b_^2) in Y2; [|apply pow2_ge_0].
      unfold Rdiv in *. lra. }
    rewrite !E2_plus, !E2_scal, (E2_plus2 Q VQ), !(E2_minus2 Q VQ) in B.
    eapply Rle_trans; [exact B|]. apply Req_le; field; lra. }
  pose proof (A 1 (or_introl eq_refl)). pose proof (A (-1) (or_intror eq_refl)). apply Rabs_le; lra.
Qed.
End OnlineDPO.
