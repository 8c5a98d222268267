(** C35. Relative curvature for any payoff G with derivatives G1, G2: for b above G on |z| <= Z,

      Hess J <= K F,   K = 2 (b - J) + 2 beta^2 sup_{|z| <= Z} [G1^2 / (b - G) + G2].

    The supremum enters through any upper bound h of it. C11 is the case G = log sigma. *)
Require Import Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
From Sail Require Import Sums Sigmoid Prompt C02_hessian.
Open Scope R_scope.

(** Completing the square: -e P^2 + 2 c P M <= c^2 M^2 / e. *)
Lemma complete_square : forall e c P M, 0 < e -> - e * P^2 + 2 * c * P * M <= c^2 * M^2 / e.
Proof.
  intros. apply Rmult_le_reg_l with e; [lra|].
  replace (e * (c^2 * M^2 / e)) with (c^2 * M^2) by (field; lra).
  pose proof (pow2_ge_0 (e * P - c * M)); nra.
Qed.

(** u^2 / w is jointly convex: quadratic over linear. *)
Lemma quad_over_lin : forall q u1 u0 w1 w0, 0 <= q <= 1 -> 0 < w1 -> 0 < w0 ->
  (q * u1 + (1 - q) * u0)^2 / (q * w1 + (1 - q) * w0) <= q * (u1^2 / w1) + (1 - q) * (u0^2 / w0).
Proof.
  intros q u1 u0 w1 w0 Hq H1 H0.
  assert (W : 0 < q * w1 + (1 - q) * w0).
  { destruct (Req_dec q 0) as [->|]; [lra|]. assert (0 < q * w1) by (apply Rmult_lt_0_compat; lra).
    assert (0 <= (1 - q) * w0) by (apply Rmult_le_pos; lra). lra. }
  apply Rmult_le_reg_l with (q * w1 + (1 - q) * w0); [exact W|].
  replace ((q * w1 + (1 - q) * w0) * ((q * u1 + (1 - q) * u0)^2 / (q * w1 + (1 - q) * w0)))
    with ((q * u1 + (1 - q) * u0)^2) by (field; lra).
  assert (E1 : (q * w1 + (1 - q) * w0) * (q * (u1^2 / w1) + (1 - q) * (u0^2 / w0))
    - (q * u1 + (1 - q) * u0)^2 = (q * (1 - q)) * ((w0 * u1 - w1 * u0)^2 / (w1 * w0))).
  { field; split; lra. }
  assert (0 <= (q * (1 - q)) * ((w0 * u1 - w1 * u0)^2 / (w1 * w0))).
  { apply Rmult_le_pos; [apply Rmult_le_pos; lra|].
    apply Rmult_le_pos; [apply pow2_ge_0|]. apply Rlt_le, Rinv_0_lt_compat, Rmult_lt_0_compat; lra. }
  lra.
Qed.

Section C35.
Variable Q : prompt.
Hypothesis VQ : valid_prompt Q.
Variables G G1 G2 : R -> R.
Notation m := (responses Q). Notation b_ := (beta Q).

(** The square, for one pair: with w = b - g > 0 and u^2/w + g'' <= h. *)
Lemma pair_square : forall x b z_k l c h, (z_k < m)%nat -> (l < m)%nat ->
  let z := margin Q x z_k l in
  G z < c -> G (- z) < c ->
  (G1 z)^2 / (c - G z) + G2 z <= h -> (G1 (- z))^2 / (c - G (- z)) + G2 (- z) <= h ->
  (payoff Q G x z_k l - c) * (plus_score Q x b z_k l)^2
    + 2 * b_ * slope Q G1 x z_k l * plus_score Q x b z_k l * minus_score b z_k l
    + b_^2 * payoff Q G2 x z_k l * (minus_score b z_k l)^2
  <= (b_^2 * h) * (minus_score b z_k l)^2.
Proof.
  intros x b k l c h Hk Hl z w1 w0 h1 h0.
  set (q := pref Q k l). pose proof (pref_sum Q VQ k l Hk Hl) as S; fold q in S.
  pose proof (pref_01 Q VQ k l Hk Hl) as Q01; fold q in Q01.
  assert (Eg : c - payoff Q G x k l = q * (c - G z) + (1 - q) * (c - G (- z))).
  { unfold payoff; fold z; fold q; replace (pref Q l k) with (1 - q) by lra; ring. }
  assert (Eu : slope Q G1 x k l = q * G1 z + (1 - q) * (- G1 (- z))).
  { unfold slope; fold z; fold q; replace (pref Q l k) with (1 - q) by lra; ring. }
  assert (Eh : payoff Q G2 x k l = q * G2 z + (1 - q) * G2 (- z)).
  { unfold payoff; fold z; fold q; replace (pref Q l k) with (1 - q) by lra; ring. }
  assert (W1 : 0 < c - G z) by lra. assert (W0 : 0 < c - G (- z)) by lra.
  pose proof (quad_over_lin q (G1 z) (- G1 (- z)) _ _ Q01 W1 W0) as QL.
  rewrite <- Eg, <- Eu in QL. replace ((- G1 (- z))^2) with ((G1 (- z))^2) in QL by ring.
  assert (U : (slope Q G1 x k l)^2 / (c - payoff Q G x k l) + payoff Q G2 x k l <= h).
  { rewrite Eh.
    assert (q * ((G1 z)^2 / (c - G z) + G2 z) <= q * h) by (apply Rmult_le_compat_l; lra).
    assert ((1 - q) * ((G1 (- z))^2 / (c - G (- z)) + G2 (- z)) <= (1 - q) * h) by (apply Rmult_le_compat_l; lra).
    lra. }
  assert (W : 0 < c - payoff Q G x k l).
  { rewrite Eg. destruct (Req_dec q 0) as [->|]; [lra|].
    assert (0 < q * (c - G z)) by (apply Rmult_lt_0_compat; lra).
    assert (0 <= (1 - q) * (c - G (- z))) by (apply Rmult_le_pos; lra). lra. }
  pose proof (complete_square (c - payoff Q G x k l) (b_ * slope Q G1 x k l) (plus_score Q x b k l) (minus_score b k l) W) as CS.
  assert (V : 0 <= b_^2 * (minus_score b k l)^2) by (apply Rmult_le_pos; apply pow2_ge_0).
  pose proof (Rmult_le_compat_l _ _ _ V U) as VU.
  replace ((b_ * slope Q G1 x k l)^2 * (minus_score b k l)^2 / (c - payoff Q G x k l))
    with (b_^2 * (minus_score b k l)^2 * ((slope Q G1 x k l)^2 / (c - payoff Q G x k l))) in CS by (field; lra).
  lra.
Qed.

Theorem C35 : forall x b Z c h,
  (forall k l, (k < m)%nat -> (l < m)%nat -> Rabs (margin Q x k l) <= Z) ->
  (forall z, Rabs z <= Z -> G z < c) ->
  (forall z, Rabs z <= Z -> (G1 z)^2 / (c - G z) + G2 z <= h) ->
  value'' Q G G1 G2 b b x <= (2 * (c - value Q G x) + 2 * b_^2 * h) * fisher Q x b.
Proof.
  intros x b Z c h HZ Hc Hh.
  rewrite (value''_shift Q VQ G G1 G2 b x c).
  assert (B : E2 Q x (fun k l => (payoff Q G x k l - c) * (plus_score Q x b k l)^2
      + 2 * b_ * slope Q G1 x k l * plus_score Q x b k l * minus_score b k l
      + b_^2 * payoff Q G2 x k l * (minus_score b k l)^2)
    <= E2 Q x (fun k l => (b_^2 * h) * (minus_score b k l)^2)).
  { apply (E2_le Q VQ); intros k l Hk Hl. pose proof (HZ k l Hk Hl) as Hz.
    assert (Hz' : Rabs (- margin Q x k l) <= Z) by now rewrite Rabs_Ropp.
    apply pair_square; auto. }
  rewrite E2_scal, (E2_minus2 Q VQ) in B. lra.
Qed.
End C35.
