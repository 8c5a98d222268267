(** C11. Curvature relative to the Fisher matrix, for one prompt: for every b > log sigma(Z),

      Hess J <= K F,  K = 2 (b - J) + 2 beta^2 sup_{|z| <= Z} [sigma(-z)^2 / (b - log sigma(z)) - sigma'(z)],

    for all theta, preferences, references, base measures, m; beta may have either sign. No positive
    part is taken. Then K_B, corollary (i), and the lower side K^-. *)
Require Import Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
From Sail Require Import Sums Sigmoid Prompt C02_hessian C35_any_payoff.
Open Scope R_scope.

(** The function of one variable whose supremum over |z| <= Z enters K. *)
Definition inner (b z : R) : R := (sigma (- z))^2 / (b - log_sigma z) - sigma' z.

Section C11.
Variable Q : prompt.
Hypothesis VQ : valid_prompt Q.
Notation m := (responses Q). Notation b_ := (beta Q).
Definition margins_within (x : nat -> R) (Z : R) : Prop :=
  forall k l, (k < m)%nat -> (l < m)%nat -> Rabs (margin Q x k l) <= Z.

Theorem C11 : forall x v Z b h, margins_within x Z -> log_sigma Z < b ->
  (forall z, Rabs z <= Z -> inner b z <= h) ->
  J'' Q v v x <= (2 * (b - J Q x) + 2 * b_^2 * h) * fisher Q x v.
Proof.
  intros x v Z b h HZ Hb Hh. rewrite J''_value'' by auto.
  apply (C35 Q VQ log_sigma (fun z => sigma (- z)) (fun z => - sigma' z) x v Z b h HZ); [|exact Hh].
  intros z Hz. apply Rle_lt_trans with (log_sigma Z); [|auto].
  apply log_sigma_incr, (abs_range z Z Hz).
Qed.

(** J lies between -(1/2)(log 2 + log(1 + e^Z)) and log sigma(Z/2). *)
Lemma payoff_between : forall x k l, (k < m)%nat -> (l < m)%nat ->
  log_sigma (- Rabs (margin Q x k l)) <= payoff Q log_sigma x k l <= log_sigma (Rabs (margin Q x k l)).
Proof.
  intros x k l Hk Hl; unfold payoff; set (y := margin Q x k l).
  pose proof (pref_sum Q VQ k l Hk Hl) as S. pose proof (pref_01 Q VQ k l Hk Hl) as S0.
  replace (pref Q l k) with (1 - pref Q k l) by lra; set (q := pref Q k l) in *.
  destruct (abs_range y (Rabs y) (Rle_refl _)).
  assert (log_sigma (- Rabs y) <= log_sigma y <= log_sigma (Rabs y)) by (split; apply log_sigma_incr; lra).
  assert (log_sigma (- Rabs y) <= log_sigma (- y) <= log_sigma (Rabs y)) by (split; apply log_sigma_incr; lra).
  nra.
Qed.

(** E|z| <= Z/2, as weights w_kl in [0,1] with |z_kl| <= w_kl Z and E w <= 1/2. *)
Lemma margin_weights : forall x Z, 0 <= Z -> margins_within x Z ->
  exists w, (forall k l, (k < m)%nat -> (l < m)%nat -> 0 <= w k l <= 1 /\ Rabs (margin Q x k l) <= w k l * Z)
    /\ E2 Q x w <= / 2.
Proof.
  intros x Z HZ0 HZ.
  destruct HZ0 as [HZ0|<-].
  2:{ exists (fun _ _ => 0); split; [intros k l Hk Hl; split; [lra|rewrite Rmult_0_l; auto]|].
      rewrite (E2_const Q VQ); lra. }
  set (y := fun k => b_ * (x k - ref Q k)).
  destruct (Sum_argmin m y (some_response Q VQ)) as [i [Hi Him]].
  set (a := fun k => (y k - y i) / Z).
  assert (A : forall k, (k < m)%nat -> 0 <= a k <= 1).
  { intros k Hk; unfold a; pose proof (Him k Hk). pose proof (HZ k i Hk Hi) as H0.
    replace (margin Q x k i) with (y k - y i) in H0 by (unfold margin, y; ring).
    apply Rabs_le_between in H0. split.
    - apply Rmult_le_pos; [lra|left; now apply Rinv_0_lt_compat].
    - apply Rmult_le_reg_r with Z; [lra|]. replace ((y k - y i) / Z * Z) with (y k - y i) by (field; lra). lra. }
  exists (fun k l => a k * (1 - a l) + (1 - a k) * a l); split.
  - intros k l Hk Hl; pose proof (A k Hk); pose proof (A l Hl); split; [nra|].
    replace (margin Q x k l) with ((a k - a l) * Z) by (unfold a, margin, y; field; lra).
    rewrite Rabs_mult, (Rabs_pos_eq Z) by lra. apply Rmult_le_compat_r; [lra|].
    apply Rabs_le; nra.
  - rewrite E2_plus, !E2_prod.
    rewrite (E_minus Q x (fun _ => 1)), (E_const Q VQ).
    set (q := E Q x a). pose proof (pow2_ge_0 (q - /2)); nra.
Qed.

Theorem J_lower : forall x Z, 0 <= Z -> margins_within x Z -> - J Q x <= / 2 * (ln 2 + ln (1 + exp Z)).
Proof.
  intros x Z HZ0 HZ. destruct (margin_weights x Z HZ0 HZ) as [w [Hw Ew]].
  rewrite <- log_sigma_softplus.
  assert (L : log_sigma (- Z) <= - ln 2) by (rewrite <- log_sigma_0; apply log_sigma_incr; lra).
  assert (B : E2 Q x (fun k l => - ln 2 + (log_sigma (- Z) + ln 2) * w k l) <= J Q x).
  { unfold J, value; apply (E2_le Q VQ); intros k l Hk Hl.
    destruct (Hw k l Hk Hl) as [W1 W2]. destruct (payoff_between x k l Hk Hl) as [G _].
    eapply Rle_trans; [|exact G].
    assert (log_sigma (- (w k l * Z)) <= log_sigma (- Rabs (margin Q x k l))) by (apply log_sigma_incr; lra).
    pose proof (log_sigma_chord (w k l) (- Z) 0 W1) as C. rewrite log_sigma_0 in C.
    replace (w k l * - Z + (1 - w k l) * 0) with (- (w k l * Z)) in C by ring. lra. }
  rewrite E2_plus, E2_scal, (E2_const Q VQ) in B.
  assert ((log_sigma (- Z) + ln 2) * / 2 <= (log_sigma (- Z) + ln 2) * E2 Q x w) by nra. lra.
Qed.

Theorem J_upper : forall x Z, 0 <= Z -> margins_within x Z -> J Q x <= log_sigma (Z / 2).
Proof.
  intros x Z HZ0 HZ. destruct (margin_weights x Z HZ0 HZ) as [w [Hw Ew]].
  pose proof (sigma_pos (- (Z / 2))) as SP.
  assert (B : J Q x <= E2 Q x (fun k l => (log_sigma (Z / 2) - sigma (- (Z/2)) * (Z / 2)) + (sigma (- (Z/2)) * Z) * w k l)).
  { unfold J, value; apply (E2_le Q VQ); intros k l Hk Hl.
    destruct (Hw k l Hk Hl) as [W1 W2]. destruct (payoff_between x k l Hk Hl) as [_ G].
    pose proof (log_sigma_tangent (Z/2) (Rabs (margin Q x k l))).
    assert (sigma (- (Z/2)) * Rabs (margin Q x k l) <= sigma (- (Z/2)) * (w k l * Z)) by (apply Rmult_le_compat_l; lra).
    lra. }
  rewrite E2_plus, E2_scal, (E2_const Q VQ) in B.
  assert (sigma (- (Z/2)) * Z * E2 Q x w <= sigma (- (Z/2)) * Z * / 2)
    by (apply Rmult_le_compat_l; [apply Rmult_le_pos; lra|auto]). lra.
Qed.

Lemma J_nonpos : forall x, J Q x <= 0.
Proof.
  intros x; unfold J, value. rewrite <- (E2_const Q VQ x 0). apply (E2_le Q VQ); intros k l Hk Hl.
  unfold payoff. pose proof (log_sigma_neg (margin Q x k l)). pose proof (log_sigma_neg (- margin Q x k l)).
  pose proof (pref_nonneg Q VQ k l Hk Hl). pose proof (pref_nonneg Q VQ l k Hl Hk). nra.
Qed.

Lemma J_ref : J Q (ref Q) = - ln 2.
Proof.
  unfold J, value. rewrite (E2_ext Q (ref Q) _ (fun _ _ => - ln 2)); [now apply E2_const|].
  intros k l Hk Hl; unfold payoff. rewrite margin_ref, Ropp_0, log_sigma_0.
  pose proof (pref_sum Q VQ k l Hk Hl). replace (pref Q l k) with (1 - pref Q k l) by lra. ring.
Qed.
End C11.

(** * K_B: the least value of 2 b + log 2 + log(1 + e^Z) + 2 beta^2 sup [...], as an infimum. *)
Definition K_B_with (beta Z b h : R) : R := 2 * b + ln 2 + ln (1 + exp Z) + 2 * beta^2 * h.
Definition admissible (Z b h : R) : Prop := log_sigma Z < b /\ forall z, Rabs z <= Z -> inner b z <= h.
Definition K_B (beta Z : R) : R :=
  real (Glb_Rbar (fun K => exists b h, admissible Z b h /\ K = K_B_with beta Z b h)).
(** (i), and its simple form; K^-. *)
Definition K_closed (beta Z : R) : R := Z + ln (2 * sigma Z) + 4 * beta * sigma Z - 2 * beta^2 * sigma' Z.
Definition K_minus (beta Z : R) : R := 2 * (log_sigma (Z / 2) + ln (1 + exp Z)) + 4 * beta * sigma Z + beta^2 / 2.

Lemma K_B_with_floor : forall beta Z b h, 0 <= Z -> admissible Z b h ->
  - (2 * ln 2) - beta^2 / 2 <= K_B_with beta Z b h.
Proof.
  intros beta Z b h HZ [Hb Hh].
  assert (B0 : - ln 2 < b) by (rewrite <- log_sigma_0; eapply Rle_lt_trans; [apply (log_sigma_incr 0 Z HZ)|auto]).
  assert (I0 : inner b 0 <= h) by (apply Hh; rewrite Rabs_R0; auto).
  assert (P : 0 <= inner b 0 + / 4).
  { unfold inner. rewrite log_sigma_0, Ropp_0. pose proof (sigma'_le_quarter 0).
    assert (0 <= sigma 0 ^ 2 / (b - - ln 2)); [|lra].
    apply Rmult_le_pos; [apply pow2_ge_0|left; apply Rinv_0_lt_compat; lra]. }
  assert (L2 : 0 < ln 2) by (rewrite <- ln_1; apply ln_increasing; lra).
  assert (LZ : 0 <= ln (1 + exp Z)) by (rewrite <- ln_1; apply ln_le; [lra|pose proof (exp_pos Z); lra]).
  assert (0 <= beta^2 * (h + / 4)) by (apply Rmult_le_pos; [apply pow2_ge_0|lra]).
  unfold K_B_with; lra.
Qed.

(** The closed form is one of the values, at b = log sigma(Z) + beta sigma(Z). *)
Lemma closed_admissible : forall beta Z, 0 < beta -> 0 <= Z ->
  let b := log_sigma Z + beta * sigma Z in let h := sigma Z / beta - sigma' Z in
  admissible Z b h /\ K_B_with beta Z b h = K_closed beta Z.
Proof.
  intros beta Z Hb HZ b h.
  pose proof (sigma_pos Z) as SP.
  set (e := beta * sigma Z). assert (He : 0 < e) by (apply Rmult_lt_0_compat; auto).
  split; [split|].
  - unfold b; fold e; lra.
  - intros z Hz; unfold inner, h, b; fold e.
    pose proof (sigma'_ge z Z Hz). destruct (abs_range z Z Hz) as [Z1 Z2].
    pose proof (log_sigma_incr z Z Z1). pose proof (sigma_incr (- z) Z Z2). pose proof (sigma_pos (- z)).
    assert (A : (sigma (- z))^2 / (log_sigma Z + e - log_sigma z) <= (sigma Z)^2 / e).
    { apply Rmult_le_compat; [apply pow2_ge_0|left; apply Rinv_0_lt_compat; lra|nra|].
      apply Rinv_le_contravar; lra. }
    replace ((sigma Z)^2 / e) with (sigma Z / beta) in A by (unfold e; field; lra). lra.
  - unfold K_B_with, K_closed, h, b. rewrite <- log_sigma_softplus, log_sigma_opp, ln_mult by lra.
    fold (log_sigma Z). field; lra.
Qed.

Lemma K_B_least : forall beta Z b h, 0 <= Z -> admissible Z b h -> K_B beta Z <= K_B_with beta Z b h.
Proof.
  intros beta Z b h HZ A; unfold K_B.
  destruct (Glb_Rbar_correct (fun K => exists b h, admissible Z b h /\ K = K_B_with beta Z b h)) as [L G].
  assert (Lb : Rbar_le (Glb_Rbar (fun K => exists b h, admissible Z b h /\ K = K_B_with beta Z b h)) (K_B_with beta Z b h))
    by (apply L; exists b, h; auto).
  assert (Gb : Rbar_le (- (2 * ln 2) - beta^2 / 2) (Glb_Rbar (fun K => exists b h, admissible Z b h /\ K = K_B_with beta Z b h))).
  { apply G; intros K [b' [h' [A' ->]]]; now apply K_B_with_floor. }
  destruct (Glb_Rbar _); simpl in *; try contradiction; auto.
Qed.

Lemma K_B_greatest : forall beta Z c, 0 < beta -> 0 <= Z ->
  (forall b h, admissible Z b h -> c <= K_B_with beta Z b h) -> c <= K_B beta Z.
Proof.
  intros beta Z c Hb HZ H; unfold K_B.
  destruct (Glb_Rbar_correct (fun K => exists b h, admissible Z b h /\ K = K_B_with beta Z b h)) as [L G].
  assert (Gb : Rbar_le c (Glb_Rbar (fun K => exists b h, admissible Z b h /\ K = K_B_with beta Z b h))).
  { apply G; intros K [b' [h' [A' ->]]]; now apply H. }
  destruct (closed_admissible beta Z Hb HZ) as [A _].
  assert (Lb := L _ (ex_intro _ _ (ex_intro _ _ (conj A eq_refl)))).
  destruct (Glb_Rbar _); simpl in *; try contradiction; auto.
Qed.

(** K_B is at most the closed form (i), which is at most 1.5 Z + 4 beta. *)
Theorem K_B_le_closed : forall beta Z, 0 < beta -> 0 <= Z -> K_B beta Z <= K_closed beta Z.
Proof.
  intros beta Z Hb HZ. destruct (closed_admissible beta Z Hb HZ) as [A <-]. now apply K_B_least.
Qed.

Theorem K_closed_simple : forall beta Z, 0 < beta -> 0 <= Z -> K_closed beta Z <= 3 / 2 * Z + 4 * beta.
Proof.
  intros beta Z Hb HZ; unfold K_closed.
  pose proof (sigma_pos Z); pose proof (sigma_lt1 Z).
  assert (D : 0 <= beta^2 * sigma' Z) by (apply Rmult_le_pos; [apply pow2_ge_0|left; apply sigma'_pos]).
  assert (L : ln (2 * sigma Z) <= Z / 2).
  { rewrite ln_mult by lra. fold (log_sigma Z). pose proof (log_sigma_tangent 0 Z) as T.
    rewrite log_sigma_0, Ropp_0, sigma_0 in T. lra. }
  nra.
Qed.

Section Corollaries.
Variable Q : prompt.
Hypothesis VQ : valid_prompt Q.
Notation m := (responses Q). Notation b_ := (beta Q).

Theorem C11_K_B_with : forall x v Z b h, 0 <= Z -> margins_within Q x Z -> admissible Z b h ->
  J'' Q v v x <= K_B_with b_ Z b h * fisher Q x v.
Proof.
  intros x v Z b h HZ0 HZ [Hb Hh].
  eapply Rle_trans; [apply (C11 Q VQ x v Z b h); auto|].
  apply Rmult_le_compat_r; [apply fisher_nonneg; auto|].
  pose proof (J_lower Q VQ x Z HZ0 HZ). unfold K_B_with; lra.
Qed.

(** Hess J <= K_B F, with K_B itself. *)
Theorem C11_K_B : forall x v Z, 0 < b_ -> 0 <= Z -> margins_within Q x Z ->
  J'' Q v v x <= K_B b_ Z * fisher Q x v.
Proof.
  intros x v Z Hb HZ0 HZ. pose proof (fisher_nonneg Q VQ x v) as [F0|F0].
  - apply Rmult_le_reg_r with (/ fisher Q x v); [now apply Rinv_0_lt_compat|].
    rewrite Rmult_assoc, Rinv_r, Rmult_1_r by lra.
    apply K_B_greatest; auto. intros b h A. pose proof (C11_K_B_with x v Z b h HZ0 HZ A).
    apply Rmult_le_reg_r with (fisher Q x v); auto. rewrite Rmult_assoc, Rinv_l; lra.
  - destruct (closed_admissible b_ Z Hb HZ0) as [A _].
    pose proof (C11_K_B_with x v Z _ _ HZ0 HZ A) as H. rewrite <- F0, Rmult_0_r in H. rewrite <- F0; lra.
Qed.

(** (i) *)
Theorem C11_i : forall x v Z, 0 < b_ -> 0 <= Z -> margins_within Q x Z ->
  J'' Q v v x <= K_closed b_ Z * fisher Q x v.
Proof.
  intros x v Z Hb HZ0 HZ. destruct (closed_admissible b_ Z Hb HZ0) as [A <-]. now apply C11_K_B_with.
Qed.

(** The lower side. *)
Theorem C11_lower : forall x v Z, 0 < b_ -> 0 <= Z -> margins_within Q x Z ->
  - K_minus b_ Z * fisher Q x v <= J'' Q v v x.
Proof.
  intros x b Z Hb HZ0 HZ.
  set (e := b_ * sigma Z). assert (He : 0 < e) by (apply Rmult_lt_0_compat; [auto|apply sigma_pos]).
  set (c := log_sigma (- Z) - e).
  rewrite J''_value'', (value''_shift Q VQ _ _ _ b x c) by auto.
  assert (B : E2 Q x (fun k l => (- (b_ * sigma Z) - b_^2 / 4) * (minus_score b k l)^2) <=
     E2 Q x (fun k l => (payoff Q log_sigma x k l - c) * (plus_score Q x b k l)^2
       + 2 * b_ * slope Q (fun z => sigma (- z)) x k l * plus_score Q x b k l * minus_score b k l
       + b_^2 * payoff Q (fun z => - sigma' z) x k l * (minus_score b k l)^2)).
  { apply (E2_le Q VQ); intros k l Hk Hl.
    rewrite slope_sail, payoff_sail_even by auto.
    set (y := margin Q x k l). destruct (abs_range y Z (HZ k l Hk Hl)) as [Y1 Y2].
    pose proof (pref_01 Q VQ k l Hk Hl) as Q01; set (q := pref Q k l) in *.
    assert (G : e <= payoff Q log_sigma x k l - c).
    { destruct (payoff_between Q VQ x k l Hk Hl) as [G _].
      assert (log_sigma (- Z) <= log_sigma (- Rabs (margin Q x k l))) by (apply log_sigma_incr; pose proof (HZ k l Hk Hl); lra).
      unfold c; lra. }
    assert (U : (u Q x k l)^2 <= (sigma Z)^2).
    { assert (- sigma Z <= u Q x k l <= sigma Z).
      { unfold u; fold y; fold q. pose proof (sigma_incr y Z Y1).
        pose proof (sigma_incr (- y) Z Y2) as S. rewrite sigma_opp in S. lra. }
      pose proof (sigma_pos Z). nra. }
    assert (CS : - ((b_ * sigma Z) * (minus_score b k l)^2)
       <= (payoff Q log_sigma x k l - c) * (plus_score Q x b k l)^2 + 2 * b_ * u Q x k l * plus_score Q x b k l * minus_score b k l).
    { pose proof (complete_square e (- (b_ * u Q x k l)) (plus_score Q x b k l) (minus_score b k l) He) as CS.
      assert (e * (plus_score Q x b k l)^2 <= (payoff Q log_sigma x k l - c) * (plus_score Q x b k l)^2)
        by (apply Rmult_le_compat_r; [apply pow2_ge_0|auto]).
      assert ((- (b_ * u Q x k l))^2 * (minus_score b k l)^2 / e <= (b_ * sigma Z) * (minus_score b k l)^2).
      { apply Rmult_le_reg_l with e; [auto|].
        replace (e * ((- (b_ * u Q x k l))^2 * (minus_score b k l)^2 / e)) with (b_^2 * ((u Q x k l)^2 * (minus_score b k l)^2)) by (field; lra).
        unfold e; replace (b_ * sigma Z * (b_ * sigma Z * (minus_score b k l)^2)) with (b_^2 * ((sigma Z)^2 * (minus_score b k l)^2)) by ring.
        apply Rmult_le_compat_l; [apply pow2_ge_0|]. apply Rmult_le_compat_r; [apply pow2_ge_0|auto]. }
      lra. }
    pose proof (sigma'_le_quarter y) as D.
    assert (V : 0 <= b_^2 * (minus_score b k l)^2) by (apply Rmult_le_pos; apply pow2_ge_0).
    pose proof (Rmult_le_compat_l _ _ _ V D). lra. }
  rewrite E2_scal, (E2_minus2 Q VQ) in B. fold (J Q x).
  pose proof (J_upper Q VQ x Z HZ0 HZ) as JU. pose proof (fisher_nonneg Q VQ x b) as F0.
  assert (T : J Q x * fisher Q x b <= log_sigma (Z / 2) * fisher Q x b) by (apply Rmult_le_compat_r; auto).
  unfold K_minus. rewrite <- log_sigma_softplus. unfold c, e in B |- *. lra.
Qed.

Lemma margins_bounded : forall x, exists Z, margins_within Q x Z.
Proof.
  intros x. exists (Sum m (fun k => Sum m (fun l => Rabs (margin Q x k l)))). intros k l Hk Hl.
  eapply Rle_trans; [|apply (Sum_term_le m (fun k => Sum m (fun l => Rabs (margin Q x k l))) k); auto].
  - apply (Sum_term_le m (fun l => Rabs (margin Q x k l)) l); auto; intros; apply Rabs_pos.
  - intros; apply Sum_nonneg; intros; apply Rabs_pos.
Qed.
End Corollaries.
