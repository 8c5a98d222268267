(** C25. C11 with the problem's own preferences: for b >= 0 above every shifted payoff g~ = g + log 2, and h above
    u^2/(b - g~) - sigma'(z) for every pair of different responses,

      Hess J <= K F,   K = 2 (b + v) + 2 beta^2 h,   v any bound of -(J + log 2), such as
      (1/2)(log cosh(Z/2) + q Z), q >= |p_kl - 1/2|,  or  (1 - 1/m) max(-g~).

    On C each pair's z stays in its own interval [z_lo, z_hi]. *)
Require Import Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
From Sail Require Import Sums Vectors Sigmoid Prompt C02_hessian C35_any_payoff C11_relative_curvature Problem Objectives C12_strong_concavity.
Open Scope R_scope.

(** g~ and u of a pair with preference p at z. *)
Definition pair_payoff (p z : R) : R := p * log_sigma z + (1 - p) * log_sigma (- z) + ln 2.
Definition pair_slope (p z : R) : R := p - sigma z.
Definition pair_inner (b p z : R) : R := (pair_slope p z)^2 / (b - pair_payoff p z) - sigma' z.

Section C25.
Variable Q : prompt.
Hypothesis VQ : valid_prompt Q.
Notation m := (responses Q). Notation b_ := (beta Q).

Lemma payoff_pair : forall x k l, (k < m)%nat -> (l < m)%nat ->
  payoff Q log_sigma x k l = pair_payoff (pref Q k l) (margin Q x k l) - ln 2.
Proof.
  intros x k l Hk Hl; unfold payoff, pair_payoff. pose proof (pref_sum Q VQ k l Hk Hl).
  replace (pref Q l k) with (1 - pref Q k l) by lra; ring.
Qed.

Theorem C25_pointwise : forall x v b h, 0 <= b ->
  (forall k l, (k < m)%nat -> (l < m)%nat -> k <> l -> pair_payoff (pref Q k l) (margin Q x k l) < b) ->
  (forall k l, (k < m)%nat -> (l < m)%nat -> k <> l -> pair_inner b (pref Q k l) (margin Q x k l) <= h) ->
  J'' Q v v x <= (2 * (b - (J Q x + ln 2)) + 2 * b_^2 * h) * fisher Q x v.
Proof.
  intros x v b h Hb Hg Hh.
  rewrite J''_value'', (value''_shift Q VQ _ _ _ v x (b - ln 2)) by auto.
  assert (B : E2 Q x (fun k l => (payoff Q log_sigma x k l - (b - ln 2)) * (plus_score Q x v k l)^2
      + 2 * b_ * slope Q (fun z => sigma (- z)) x k l * plus_score Q x v k l * minus_score v k l
      + b_^2 * payoff Q (fun z => - sigma' z) x k l * (minus_score v k l)^2)
    <= E2 Q x (fun k l => (b_^2 * h) * (minus_score v k l)^2)).
  { apply (E2_le Q VQ); intros k l Hk Hl. rewrite slope_sail, payoff_sail_even, payoff_pair by auto.
    destruct (Nat.eq_dec k l) as [<-|N].
    - (* the diagonal: M = 0, z = 0 and g~ = 0 <= b *)
      assert (Z : margin Q x k k = 0) by (unfold margin; ring).
      assert (G : pair_payoff (pref Q k k) (margin Q x k k) = 0) by (unfold pair_payoff; rewrite Z, Ropp_0, log_sigma_0; ring).
      rewrite G. unfold minus_score. rewrite Rminus_eq_0. pose proof (pow2_ge_0 (plus_score Q x v k k)). nra.
    - pose proof (Hg k l Hk Hl N) as G. pose proof (Hh k l Hk Hl N) as H. unfold pair_inner in H.
      set (z := margin Q x k l) in *. set (g := pair_payoff (pref Q k l) z) in *. change (u Q x k l) with (pair_slope (pref Q k l) z).
      set (s := pair_slope (pref Q k l) z) in *.
      assert (W : 0 < b - g) by lra.
      pose proof (complete_square (b - g) (b_ * s) (plus_score Q x v k l) (minus_score v k l) W) as CS.
      assert (V : 0 <= b_^2 * (minus_score v k l)^2) by (apply Rmult_le_pos; apply pow2_ge_0).
      pose proof (Rmult_le_compat_l _ _ _ V H) as VH.
      replace ((b_ * s)^2 * (minus_score v k l)^2 / (b - g)) with (b_^2 * (minus_score v k l)^2 * (s^2 / (b - g))) in CS by (field; lra).
      lra. }
  rewrite E2_scal, (E2_minus2 Q VQ) in B. fold (J Q x). lra.
Qed.

(** Two bounds of -(J + log 2). *)
Lemma log_cosh : forall z, - ln 2 - / 2 * (log_sigma z + log_sigma (- z)) = ln (cosh (z / 2)).
Proof.
  intros z. rewrite log_sigma_opp. unfold cosh, log_sigma, sigma.
  pose proof (exp_pos (- z)) as P. pose proof (exp_pos (z / 2)) as P1. pose proof (exp_pos (- (z / 2))) as P2.
  replace ((exp (z / 2) + exp (- (z / 2))) / 2) with (exp (z / 2) * (1 + exp (- z)) * / 2).
  - rewrite ln_Rinv, !ln_mult, ln_exp, ln_Rinv by (try lra; apply Rmult_lt_0_compat; lra). field.
  - replace (exp (- z)) with (exp (- (z / 2)) * / exp (z / 2)).
    + field; lra.
    + rewrite <- exp_Ropp, <- exp_plus; f_equal; field.
Qed.

Theorem C25_value_mean : forall x Z q, 0 <= Z -> margins_within Q x Z -> 0 <= q ->
  (forall k l, (k < m)%nat -> (l < m)%nat -> Rabs (pref Q k l - / 2) <= q) ->
  - (J Q x + ln 2) <= / 2 * (ln (cosh (Z / 2)) + q * Z).
Proof.
  intros x Z q HZ0 HZ Hq0 Hq. destruct (margin_weights Q VQ x Z HZ0 HZ) as [w [Hw Ew]].
  set (c := ln (cosh (Z / 2)) + q * Z).
  assert (even : forall z, pair_payoff (/ 2) z = - ln (cosh (z / 2))).
  { intros z; unfold pair_payoff. rewrite <- log_cosh. field. }
  assert (c0 : 0 <= c).
  { unfold c. assert (0 <= ln (cosh (Z / 2))).
    { rewrite <- log_cosh, log_sigma_opp. pose proof (log_sigma_tangent 0 Z) as T1. pose proof (log_sigma_tangent 0 (- Z)) as T2.
      rewrite log_sigma_opp in T2. rewrite log_sigma_0, Ropp_0, sigma_0 in *. lra. }
    assert (0 <= q * Z) by (apply Rmult_le_pos; auto). lra. }
  assert (B : E2 Q x (fun k l => (- ln 2) + (- c) * w k l) <= J Q x).
  { unfold J, value; apply (E2_le Q VQ); intros k l Hk Hl. rewrite payoff_pair by auto.
    destruct (Hw k l Hk Hl) as [W1 W2]. set (z := margin Q x k l) in *.
    (* g~ = (p - 1/2) z - log cosh(z/2), and log cosh(z/2) <= w log cosh(Z/2) by concavity of log sigma *)
    assert (Eg : pair_payoff (pref Q k l) z = (pref Q k l - / 2) * z - ln (cosh (z / 2))).
    { rewrite <- log_cosh. unfold pair_payoff. rewrite log_sigma_opp. field. }
    assert (A1 : - (q * (w k l * Z)) <= (pref Q k l - / 2) * z).
    { pose proof (Hq k l Hk Hl) as P. assert (X : Rabs ((pref Q k l - / 2) * z) <= q * (w k l * Z)).
      { rewrite Rabs_mult. apply Rmult_le_compat; auto; apply Rabs_pos. }
      apply Rabs_le_between in X. lra. }
    assert (A2 : ln (cosh (z / 2)) <= w k l * ln (cosh (Z / 2))).
    { rewrite <- !log_cosh.
      set (a := w k l * Z) in *.
      assert (M1 : log_sigma a + log_sigma (- a) <= log_sigma z + log_sigma (- z)).
      { (* the even part of log sigma falls in |z| <= a *)
        assert (F : forall y, 0 <= y -> y <= a -> log_sigma a + log_sigma (- a) <= log_sigma y + log_sigma (- y)).
        { intros y Hy Hya. pose proof (log_sigma_tangent y a) as T1. pose proof (log_sigma_tangent (- y) (- a)) as T2.
          rewrite Ropp_involutive in T2. pose proof (sigma_incr (- y) y ltac:(lra)). nra. }
        destruct (Rle_dec 0 z) as [Pz|Pz].
        - apply F; auto. rewrite Rabs_pos_eq in W2 by auto; lra.
        - pose proof (F (- z) ltac:(lra)) as F'. rewrite Ropp_involutive in F'. rewrite Rabs_left in W2 by lra. lra. }
      pose proof (log_sigma_chord (w k l) Z 0 W1) as C1. pose proof (log_sigma_chord (w k l) (- Z) 0 W1) as C2.
      rewrite log_sigma_0 in C1, C2.
      replace (w k l * Z + (1 - w k l) * 0) with a in C1 by (unfold a; ring).
      replace (w k l * - Z + (1 - w k l) * 0) with (- a) in C2 by (unfold a; ring). lra. }
    rewrite Eg. unfold c. lra. }
  rewrite E2_plus, E2_scal, (E2_const Q VQ) in B. nra.
Qed.

Theorem C25_value_max : forall x g, 0 <= g ->
  (forall k l, (k < m)%nat -> (l < m)%nat -> k <> l -> - g <= pair_payoff (pref Q k l) (margin Q x k l)) ->
  - (J Q x + ln 2) <= (1 - / INR m) * g.
Proof.
  intros x g Hg0 Hg. pose proof (some_response Q VQ) as M0.
  assert (Mp : 0 < INR m) by (now apply lt_0_INR).
  assert (B : E2 Q x (fun k l => (- ln 2) + (- g) * (if Nat.eqb k l then 0 else 1)) <= J Q x).
  { unfold J, value; apply (E2_le Q VQ); intros k l Hk Hl. rewrite payoff_pair by auto.
    destruct (Nat.eqb_spec k l) as [<-|N].
    - assert (Z : margin Q x k k = 0) by (unfold margin; ring).
      unfold pair_payoff; rewrite Z, Ropp_0, log_sigma_0. lra.
    - pose proof (Hg k l Hk Hl N). lra. }
  rewrite E2_plus, E2_scal, (E2_const Q VQ) in B.
  assert (D : E2 Q x (fun k l => if Nat.eqb k l then 0 else 1) = 1 - Sum m (fun k => pi Q x k ^ 2)).
  { rewrite (E2_ext Q x _ (fun k l => 1 - (if Nat.eqb k l then 1 else 0))) by (intros k l _ _; destruct (Nat.eqb k l); ring).
    rewrite E2_minus, (E2_const Q VQ). f_equal. unfold E2, E at 1. apply Sum_ext; intros k Hk.
    assert (I : E Q x (fun l => if Nat.eqb k l then 1 else 0) = pi Q x k); [|rewrite I; ring].
    unfold E. clear - Hk. induction m as [|j IH]; [lia|]; simpl. destruct (Nat.eqb_spec k j) as [->|N].
    - rewrite (Sum_ext j _ (fun _ => 0)), Sum_0; [ring|]. intros i Hi. destruct (Nat.eqb_spec j i); [lia|ring].
    - rewrite IH by lia; ring. }
  assert (S : / INR m <= Sum m (fun k => pi Q x k ^ 2)).
  { pose proof (Sum_cs m (fun _ => 1) (pi Q x)) as CS; cbv beta in CS.
    rewrite (Sum_ext m (fun k => 1 * pi Q x k) (pi Q x)) in CS by (intros; ring). rewrite (pi_sum Q VQ) in CS.
    assert (N : Sum m (fun _ : nat => 1 ^ 2) = INR m).
    { clear. induction m as [|j IH]; [reflexivity|]. change (Sum j (fun _ => 1^2) + 1^2 = INR (S j)). rewrite IH, S_INR; ring. }
    rewrite N in CS. apply Rmult_le_reg_l with (INR m); [auto|]. rewrite Rinv_r; lra. }
  rewrite D in B. assert (g * / INR m <= g * Sum m (fun k => pi Q x k ^ 2)) by (apply Rmult_le_compat_l; auto). lra.
Qed.
End C25.

(** On C, with each pair's own interval of z. *)
Definition z_low (P : problem) (x k l : nat) : R := temperature P *
  (dot (dim P) (vsub (center P) (reference P)) (difference P x k l) - radius P * norm (dim P) (difference P x k l)).
Definition z_high (P : problem) (x k l : nat) : R := temperature P *
  (dot (dim P) (vsub (center P) (reference P)) (difference P x k l) + radius P * norm (dim P) (difference P x k l)).

Lemma z_low_high : forall P x k l, z_low P x k l = - z_high P x l k.
Proof.
  intros P x k l. assert (N : norm2 (dim P) (difference P x k l) = norm2 (dim P) (difference P x l k)) by apply norm2_vsub_sym.
  unfold z_low, z_high, norm. rewrite N. assert (O : forall a, dot (dim P) a (difference P x k l) = - dot (dim P) a (difference P x l k)).
  { intros a; unfold difference. rewrite !dot_sub_r; ring. }
  rewrite O; ring.
Qed.

Lemma z_interval : forall P, valid P -> forall th x, in_C P th -> (x < prompts P)%nat -> forall k l, (k < size P x)%nat -> (l < size P x)%nat ->
  z_low P x k l <= margin (prompt_at P x) (logit P th x) k l <= z_high P x k l.
Proof.
  intros P VP th x [Hth _] Hx k l Hk Hl. pose proof (temperature_pos P VP) as T.
  assert (Eq : margin (prompt_at P x) (logit P th x) k l = temperature P *
    (dot (dim P) (vsub (center P) (reference P)) (difference P x k l) + dot (dim P) (vsub th (center P)) (difference P x k l))).
  { unfold margin; simpl. f_equal. rewrite !dot_sub_l, <- !logit_difference; ring. }
  pose proof (dot_norm P (vsub th (center P)) (difference P x k l)) as D1.
  pose proof (dot_norm P (vsub (center P) th) (difference P x k l)) as D2.
  assert (N : norm (dim P) (vsub th (center P)) <= radius P) by (apply norm_le; auto; apply (radius_nonneg P VP)).
  assert (N' : norm (dim P) (vsub (center P) th) = norm (dim P) (vsub th (center P))) by (unfold norm; rewrite norm2_vsub_sym; reflexivity).
  assert (R1 : norm (dim P) (vsub th (center P)) * norm (dim P) (difference P x k l) <= radius P * norm (dim P) (difference P x k l))
    by (apply Rmult_le_compat_r; [apply norm_nonneg|auto]).
  assert (O : dot (dim P) (vsub (center P) th) (difference P x k l) = - dot (dim P) (vsub th (center P)) (difference P x k l))
    by (rewrite !dot_sub_l; ring).
  rewrite N' in D2. rewrite Eq; unfold z_low, z_high. split; apply Rmult_le_compat_l; lra.
Qed.

(** One prompt, on C. *)
Theorem C25_prompt : forall P, valid P -> forall x b h v, (x < prompts P)%nat -> 0 <= b ->
  (forall k l, (k < size P x)%nat -> (l < size P x)%nat -> k <> l -> forall z, z_low P x k l <= z <= z_high P x k l ->
     pair_payoff (preference P x k l) z < b /\ pair_inner b (preference P x k l) z <= h) ->
  (forall th, in_C P th -> - (J (prompt_at P x) (logit P th x) + ln 2) <= v) ->
  forall th w, in_C P th -> J'' (prompt_at P x) (logit P w x) (logit P w x) (logit P th x)
    <= (2 * (b + v) + 2 * (temperature P)^2 * h) * fisher (prompt_at P x) (logit P th x) (logit P w x).
Proof.
  intros P VP x b h v Hx Hb Hz Hv th w Hth. pose proof (prompt_valid P VP x Hx) as VQ.
  eapply Rle_trans; [apply (C25_pointwise (prompt_at P x) VQ (logit P th x) (logit P w x) b h Hb)|].
  - intros k l Hk Hl N. apply (Hz k l Hk Hl N). now apply z_interval.
  - intros k l Hk Hl N. apply (Hz k l Hk Hl N). now apply z_interval.
  - apply Rmult_le_compat_r; [now apply fisher_nonneg|]. pose proof (Hv th Hth). simpl. lra.
Qed.

(** What bounds every prompt's curvature on C bounds the whole; K^- as before. *)
Theorem bounded_by_prompts : forall P, valid P -> forall K,
  (forall x th w, (x < prompts P)%nat -> in_C P th -> J'' (prompt_at P x) (logit P w x) (logit P w x) (logit P th x)
    <= K * fisher (prompt_at P x) (logit P th x) (logit P w x)) ->
  bounded P (sail P) K (K_minus (temperature P) (z_max P)).
Proof. intros P VP K H x th w Hx Hth. split; [apply (C11_on_C P VP x th w Hx Hth)|now apply H]. Qed.

(** K_data: b, h and v may differ from prompt to prompt; any K above all of them is valid on C. *)
Theorem C25 : forall P, valid P -> forall (b h v : nat -> R) K,
  (forall x, (x < prompts P)%nat -> 0 <= b x) ->
  (forall x k l, (x < prompts P)%nat -> (k < size P x)%nat -> (l < size P x)%nat -> k <> l -> forall z, z_low P x k l <= z <= z_high P x k l ->
     pair_payoff (preference P x k l) z < b x /\ pair_inner (b x) (preference P x k l) z <= h x) ->
  (forall x th, (x < prompts P)%nat -> in_C P th -> - (J (prompt_at P x) (logit P th x) + ln 2) <= v x) ->
  (forall x, (x < prompts P)%nat -> 2 * (b x + v x) + 2 * (temperature P)^2 * h x <= K) ->
  bounded P (sail P) K (K_minus (temperature P) (z_max P)).
Proof.
  intros P VP b h v K Hb Hz Hv HK. apply bounded_by_prompts; auto. intros x th w Hx Hth.
  eapply Rle_trans; [apply (C25_prompt P VP x (b x) (h x) (v x) Hx (Hb x Hx)); auto|].
  apply Rmult_le_compat_r; [now apply fisher_nonneg, prompt_valid|now apply HK].
Qed.
