(** C30. The reward V = E_pi r under one softmax: Hess V = E[(r - V) s s^T], so

      -(V - r_min) F <= Hess V <= (r_max - V) F,

    and K = K^- = the range of r are valid in C12, C13, C15 and C17. For one prompt the set
    {V - gamma KL(pi_ref || pi_theta) >= its value at theta_ref} is convex when gamma >= r_max - V(theta_ref). *)
Require Import Reals Lra Lia Psatz FunctionalExtensionality.
From Coquelicot Require Import Coquelicot.
From Sail Require Import Sums Vectors Sigmoid Prompt Derivatives C07_kl_hessian Ascent Problem Objectives C12_strong_concavity C13_pl
  C15_projected_ascent.
Open Scope R_scope.

Section OnePrompt.
Variable Q : prompt.
Hypothesis VQ : valid_prompt Q.
Variable r : nat -> R.
Notation m := (responses Q).

Definition reward (x : nat -> R) : R := E Q x r.
Definition reward' (b x : nat -> R) : R := E Q x (fun k => r k * score Q x b k).
Definition reward'' (b c x : nat -> R) : R := E Q x (fun k => (r k - reward x) * (score Q x b k * score Q x c k)).

Theorem reward_derive : forall x b t, is_derive (fun t => reward (line x b t)) t (reward' b (line x b t)).
Proof.
  intros; unfold reward; evar_last.
  - apply (E_derive Q VQ x b (fun k _ => r k) (fun _ => 0)); intros; apply (is_derive_const (r k)).
  - apply E_ext; intros; ring.
Qed.

Theorem C30_hessian : forall x b c t, is_derive (fun t => reward' b (line x c t)) t (reward'' b c (line x c t)).
Proof.
  intros; unfold reward'; evar_last.
  - apply (E_derive Q VQ x c (fun k t => r k * score Q (line x c t) b k) (fun k => r k * - fisher2 Q (line x c t) b c)).
    intros; apply is_derive_scal; now apply score_derive.
  - set (y := line x c t). unfold reward''.
    transitivity (E Q y (fun k => r k * score Q y b k * score Q y c k) - fisher2 Q y b c * E Q y r).
    + rewrite E_plus. rewrite (E_ext Q y (fun k => r k * - fisher2 Q y b c) (fun k => (- fisher2 Q y b c) * r k)) by (intros; ring).
      rewrite E_scal; ring.
    + unfold fisher2, reward. rewrite Rmult_comm, <- E_scal, <- E_minus. apply E_ext; intros; ring.
Qed.

Variables low high : R.
Hypothesis r_range : forall k, (k < m)%nat -> low <= r k <= high.

Lemma reward_range : forall x, low <= reward x <= high.
Proof.
  intros x; unfold reward; split.
  - rewrite <- (E_const Q VQ x low); apply (E_le Q VQ); intros; now apply r_range.
  - rewrite <- (E_const Q VQ x high); apply (E_le Q VQ); intros; now apply r_range.
Qed.

Theorem C30_curvature : forall x v,
  - (reward x - low) * fisher Q x v <= reward'' v v x <= (high - reward x) * fisher Q x v.
Proof.
  intros x v; unfold reward'', fisher; rewrite <- !E_scal; split; apply (E_le Q VQ); intros k Hk;
    destruct (r_range k Hk); pose proof (pow2_ge_0 (score Q x v k)); nra.
Qed.

Lemma reward'_linear : forall x, linear m (fun b => reward' b x).
Proof.
  intros x; split; unfold reward'; intros.
  - rewrite <- E_scal, <- E_plus; apply E_ext; intros; rewrite score_combine; ring.
  - apply E_ext; intros; rewrite (score_reads Q x a b H); auto.
Qed.

Lemma reward''_linear : forall x c, linear m (fun b => reward'' b c x).
Proof.
  intros x c; split; unfold reward''; intros.
  - rewrite <- E_scal, <- E_plus; apply E_ext; intros; rewrite score_combine; ring.
  - apply E_ext; intros; rewrite (score_reads Q x a b H); auto.
Qed.

Lemma reward''_sym : forall x b c, reward'' b c x = reward'' c b x.
Proof. intros; apply E_ext; intros; ring. Qed.

(** * The path version, one prompt *)

(** log(r_max - V) + KL(pi_ref || pi_theta) is logsumexp plus linear, so convex along segments. *)
Definition loss (x : nat -> R) : R := Sum m (fun k => base Q k * (high - r k) * exp (x k)).

Lemma loss_eq : forall x, loss x = (high - reward x) * partition Q x.
Proof.
  intros x; unfold reward, E, pi, Rdiv.
  pose proof (partition_pos Q VQ x).
  transitivity (high * partition Q x - Sum m (fun k => base Q k * exp (x k) * / partition Q x * r k * partition Q x)).
  - unfold loss, partition. rewrite <- Sum_scal. fold (partition Q x). rewrite <- Sum_minus. apply Sum_ext; intros; field; lra.
  - rewrite Sum_scal_r. ring.
Qed.

Definition between (a b : nat -> R) (t : R) (k : nat) : R := (1 - t) * a k + t * b k.

(** Hoelder: the sum at a point between a and b is at most the geometric mean of the ends. *)
Lemma log_sum_exp_convex : forall (w : nat -> R) a b t, (forall k, (k < m)%nat -> 0 <= w k) -> 0 <= t <= 1 ->
  let S := fun x : nat -> R => Sum m (fun k => w k * exp (x k)) in
  0 < S a -> 0 < S b -> S (between a b t) <= exp ((1 - t) * ln (S a) + t * ln (S b)).
Proof.
  intros w a b t Hw Ht S Sa Sb.
  assert (T : forall p, p <= exp (p - 1)) by (intros p; pose proof (exp_ineq1_le (p - 1)); lra).
  (* weighted AM-GM, term by term: e^{(1-t)p + tq} <= (1-t) e^p + t e^q *)
  assert (C : forall p q, exp ((1 - t) * p + t * q) <= (1 - t) * exp p + t * exp q).
  { intros p q. set (y := (1 - t) * p + t * q).
    assert (L : forall z, exp y * (1 + (z - y)) <= exp z).
    { intros z. replace (exp z) with (exp y * exp (z - y)) by (rewrite <- exp_plus; f_equal; ring).
      apply Rmult_le_compat_l; [left; apply exp_pos|apply exp_ineq1_le]. }
    pose proof (L p) as Lp. pose proof (L q) as Lq.
    apply Rmult_le_compat_l with (r := 1 - t) in Lp; [|lra]. apply Rmult_le_compat_l with (r := t) in Lq; [|lra].
    assert (I : (1 - t) * (exp y * (1 + (p - y))) + t * (exp y * (1 + (q - y))) = exp y) by (unfold y; ring). lra. }
  set (M := (1 - t) * ln (S a) + t * ln (S b)).
  assert (B : Sum m (fun k => w k * exp (between a b t k - M)) <= 1).
  { apply Rle_trans with (Sum m (fun k => (1 - t) * / S a * (w k * exp (a k)) + t * / S b * (w k * exp (b k)))).
    - apply Sum_le; intros k Hk. pose proof (C (a k - ln (S a)) (b k - ln (S b))) as Ck.
      replace ((1 - t) * (a k - ln (S a)) + t * (b k - ln (S b))) with (between a b t k - M) in Ck by (unfold between, M; ring).
      unfold Rminus in Ck at 3 4. rewrite !exp_plus, !exp_Ropp, !exp_ln in Ck by auto.
      apply Rmult_le_compat_l with (r := w k) in Ck; [|now apply Hw]. unfold Rminus in *; lra.
    - rewrite Sum_plus, !Sum_scal. fold (S a) (S b). apply Req_le; field; lra. }
  apply Rmult_le_compat_l with (r := exp M) in B; [|left; apply exp_pos].
  rewrite <- Sum_scal in B. unfold S at 1.
  rewrite (Sum_ext m _ (fun k => exp M * (w k * exp (between a b t k - M)))); [lra|].
  intros k Hk. unfold Rminus; rewrite exp_plus, exp_Ropp. pose proof (exp_pos M). field; lra.
Qed.

(** KL(pi_ref || .) is log partition plus linear. *)
Lemma KL_affine : forall x, KL Q x = ln (partition Q x) - E Q (ref Q) x
  + (E Q (ref Q) (ref Q) - ln (partition Q (ref Q))).
Proof.
  intros x; unfold KL.
  rewrite (E_ext Q (ref Q) _ (fun k => (ln (partition Q x) - ln (partition Q (ref Q))) + (ref Q k - x k))).
  - rewrite E_plus, (E_const Q VQ), E_minus; ring.
  - intros k Hk; rewrite !(log_pi_eq Q VQ) by auto; ring.
Qed.

Lemma E_between : forall a b t, E Q (ref Q) (between a b t) = (1 - t) * E Q (ref Q) a + t * E Q (ref Q) b.
Proof. intros; unfold between; rewrite E_plus, !E_scal; ring. Qed.

Variable gamma : R.
Definition J_reward (x : nat -> R) : R := reward x - gamma * KL Q x.

Hypothesis not_perfect : forall x, reward x < high.
Hypothesis gamma_large : high - reward (ref Q) <= gamma.
Hypothesis some_gap : 0 < gamma.

Lemma gap_form : forall x, J_reward (ref Q) <= J_reward x <-> (high - reward x) + gamma * KL Q x <= high - reward (ref Q).
Proof. intros; unfold J_reward; rewrite (KL_ref Q VQ); split; intros; lra. Qed.

(** s -> log(q - gamma s) + s decreases on s >= 0 for gamma >= q. *)
Lemma tail_decreases : forall q s k, 0 <= s -> s <= k -> 0 < q - gamma * k -> q <= gamma ->
  ln (q - gamma * k) + k <= ln (q - gamma * s) + s.
Proof.
  intros q s k Hs Hsk Hk Hq.
  assert (P : q - gamma * k <= q - gamma * s) by nra.
  assert (P1 : 0 < q - gamma * s) by lra.
  pose proof (ln_tangent (q - gamma * k) (q - gamma * s) Hk P1) as T.
  assert (R1 : k - s <= 1 - (q - gamma * k) / (q - gamma * s)); [|lra].
  apply Rmult_le_reg_r with (q - gamma * s); [auto|].
  replace ((1 - (q - gamma * k) / (q - gamma * s)) * (q - gamma * s)) with (gamma * (k - s)) by (field; lra). nra.
Qed.

Theorem C30_superlevel_convex : forall a b t, 0 <= t <= 1 ->
  J_reward (ref Q) <= J_reward a -> J_reward (ref Q) <= J_reward b -> J_reward (ref Q) <= J_reward (between a b t).
Proof.
  intros a b t Ht Ha Hb. rewrite gap_form in *.
  set (q := high - reward (ref Q)) in *.
  set (c := between a b t). set (ua := high - reward a) in *. set (ub := high - reward b) in *. set (uc := high - reward c).
  set (Ka := KL Q a) in *. set (Kb := KL Q b) in *. set (Kc := KL Q c).
  pose proof (not_perfect a) as Pa. pose proof (not_perfect b) as Pb. pose proof (not_perfect c) as Pc.
  assert (ua0 : 0 < ua) by (unfold ua; lra). assert (ub0 : 0 < ub) by (unfold ub; lra). assert (uc0 : 0 < uc) by (unfold uc; lra).
  pose proof (KL_nonneg Q VQ a) as Ka0. pose proof (KL_nonneg Q VQ b) as Kb0. pose proof (KL_nonneg Q VQ c) as Kc0. fold Ka in Ka0. fold Kb in Kb0. fold Kc in Kc0.
  pose proof (partition_pos Q VQ a) as Za. pose proof (partition_pos Q VQ b) as Zb. pose proof (partition_pos Q VQ c) as Zc.
  (* KL is convex *)
  assert (Kconv : Kc <= (1 - t) * Ka + t * Kb).
  { pose proof (log_sum_exp_convex (base Q) a b t ltac:(intros; left; now apply base_pos) Ht Za Zb) as H; cbv zeta in H. fold (partition Q c) in H.
    apply ln_le in H; [|exact Zc]. rewrite ln_exp in H. fold (partition Q a) (partition Q b) in H.
    unfold Kc, Ka, Kb. rewrite !KL_affine. assert (Ec : E Q (ref Q) c = (1 - t) * E Q (ref Q) a + t * E Q (ref Q) b) by apply E_between. rewrite Ec. unfold c in H |- *.
    change (Sum m (fun k => base Q k * exp (between a b t k))) with (partition Q (between a b t)) in H. lra. }
  (* log u + KL is convex *)
  assert (La : loss a = ua * partition Q a) by apply loss_eq. assert (Lb : loss b = ub * partition Q b) by apply loss_eq.
  assert (Lc : loss c = uc * partition Q c) by apply loss_eq.
  assert (Lconv : ln uc + Kc <= (1 - t) * (ln ua + Ka) + t * (ln ub + Kb)).
  { assert (LA : 0 < loss a) by (rewrite La; now apply Rmult_lt_0_compat). assert (LB : 0 < loss b) by (rewrite Lb; now apply Rmult_lt_0_compat).
    assert (LC : 0 < loss c) by (rewrite Lc; now apply Rmult_lt_0_compat).
    pose proof (log_sum_exp_convex (fun k => base Q k * (high - r k)) a b t) as H. cbv zeta in H.
    assert (H' := H ltac:(intros k Hk; destruct (r_range k Hk); pose proof (base_pos Q VQ k Hk); apply Rmult_le_pos; lra) Ht LA LB).
    change (loss c <= exp ((1 - t) * ln (loss a) + t * ln (loss b))) in H'.
    apply ln_le in H'; [|exact LC]. rewrite ln_exp, La, Lb, Lc, !ln_mult in H' by auto.
    assert (Ec : E Q (ref Q) c = (1 - t) * E Q (ref Q) a + t * E Q (ref Q) b) by apply E_between.
    unfold Kc, Ka, Kb. rewrite !KL_affine, Ec. lra. }
  assert (qa : 0 < q - gamma * Ka) by lra. assert (qb : 0 < q - gamma * Kb) by lra.
  set (k := (1 - t) * Ka + t * Kb) in *.
  assert (qk : 0 < q - gamma * k).
  { replace (q - gamma * k) with ((1 - t) * (q - gamma * Ka) + t * (q - gamma * Kb)) by (unfold k; ring).
    destruct (Req_dec t 0) as [->|Nt]; [lra|]. assert (0 < t * (q - gamma * Kb)) by (apply Rmult_lt_0_compat; lra).
    assert (0 <= (1 - t) * (q - gamma * Ka)) by (apply Rmult_le_pos; lra). lra. }
  (* log is concave *)
  assert (Lq : (1 - t) * ln (q - gamma * Ka) + t * ln (q - gamma * Kb) <= ln (q - gamma * k)).
  { pose proof (ln_tangent (q - gamma * Ka) (q - gamma * k) qa qk) as T1. pose proof (ln_tangent (q - gamma * Kb) (q - gamma * k) qb qk) as T2.
    apply Rmult_le_compat_l with (r := 1 - t) in T1; [|lra]. apply Rmult_le_compat_l with (r := t) in T2; [|lra].
    assert (I : (1 - t) * ((q - gamma * Ka) / (q - gamma * k)) + t * ((q - gamma * Kb) / (q - gamma * k)) = 1) by (unfold k; field; unfold k in qk; lra).
    lra. }
  assert (ln ua <= ln (q - gamma * Ka)) as La' by (apply ln_le; lra). assert (ln ub <= ln (q - gamma * Kb)) as Lb' by (apply ln_le; lra).
  apply Rmult_le_compat_l with (r := 1 - t) in La'; [|lra]. apply Rmult_le_compat_l with (r := t) in Lb'; [|lra].
  pose proof (tail_decreases q Kc k Kc0 Kconv qk gamma_large) as D.
  assert (F : ln uc <= ln (q - gamma * Kc)) by (unfold k in *; lra).
  assert (qc : 0 < q - gamma * Kc) by (assert (gamma * Kc <= gamma * k) by (apply Rmult_le_compat_l; lra); lra).
  destruct (Rle_dec uc (q - gamma * Kc)) as [G|G]; [unfold uc, Kc in G |- *; lra|exfalso].
  assert (ln (q - gamma * Kc) < ln uc) by (apply ln_increasing; lra). lra.
Qed.

(** On that set V - gamma KL is strictly concave when gamma > r_max - V(theta_ref). *)
Theorem C30_superlevel_concave : forall x v, high - reward (ref Q) < gamma -> J_reward (ref Q) <= J_reward x ->
  0 < fisher Q x v -> reward'' v v x - gamma * fisher Q x v < 0.
Proof.
  intros x v Hg Hx Hv. rewrite gap_form in Hx. pose proof (KL_nonneg Q VQ x).
  assert (0 <= gamma * KL Q x) by (apply Rmult_le_pos; lra).
  destruct (C30_curvature x v) as [_ U]. assert ((high - reward x) * fisher Q x v < gamma * fisher Q x v) by (apply Rmult_lt_compat_r; lra). lra.
Qed.
End OnePrompt.

(** Rewards over a problem: r x k is the reward of response k to prompt x. *)
Definition rewards (P : problem) (r : nat -> nat -> R) : objective := {|
  val := fun x => reward (prompt_at P x) (r x); val' := fun x => reward' (prompt_at P x) (r x);
  val'' := fun x => reward'' (prompt_at P x) (r x) |}.

Theorem rewards_valid : forall P, valid P -> forall r, valid_objective P (rewards P r).
Proof.
  intros P VP r; constructor; intros x Hx; simpl; intros.
  - apply reward_derive; now apply prompt_valid.
  - apply C30_hessian; now apply prompt_valid.
  - apply (reward'_linear (prompt_at P x)).
  - apply (reward''_linear (prompt_at P x)).
  - apply reward''_sym.
Qed.

Theorem C30_bounded : forall P, valid P -> forall r low high,
  (forall x k, (x < prompts P)%nat -> (k < size P x)%nat -> low <= r x k <= high) ->
  bounded P (rewards P r) (high - low) (high - low).
Proof.
  intros P VP r low high H x th v Hx Hth; simpl. pose proof (prompt_valid P VP x Hx) as VQ.
  set (Q := prompt_at P x) in *. destruct (C30_curvature Q VQ (r x) low high (fun k Hk => H x k Hx Hk) (logit P th x) (logit P v x)).
  destruct (reward_range Q VQ (r x) low high (fun k Hk => H x k Hx Hk) (logit P th x)).
  pose proof (fisher_nonneg Q VQ (logit P th x) (logit P v x)). split; nra.
Qed.

(** gamma above the range of the rewards: one maximiser, and projected ascent converges at the rate of C15. *)
Theorem C30 : forall P, valid P -> forall r low high gamma,
  (forall x k, (x < prompts P)%nat -> (k < size P x)%nat -> low <= r x k <= high) -> high - low < gamma ->
  let f := total P (regularised P (rewards P r) gamma) in
  let grad := gradient P (regularised P (rewards P r) gamma) in
  let mu := modulus P (high - low) gamma in let Lam := smoothness P (high - low) gamma in
  strongly_concave (dim P) (in_C P) f grad mu /\
  (exists best, maximiser (in_C P) f best /\ forall other, maximiser (in_C P) f other -> same (dim P) best other) /\
  forall (th : nat -> vec) q, in_C P (th O) -> in_C P q ->
    (forall k, projected_step (dim P) (in_C P) grad Lam (th k) (th (S k))) ->
    forall k, f q - f (th k) <= (1 - mu / Lam)^k * (f q - f (th O)).
Proof.
  intros P VP r low high gamma H Hg f grad mu Lam.
  pose proof (rewards_valid P VP r) as VO. pose proof (C30_bounded P VP r low high H) as HB. repeat split.
  - exact (C12_general P VP _ VO _ _ gamma HB Hg).
  - exact (C13_maximiser P VP _ VO _ _ gamma HB Hg).
  - exact (C15_general P VP _ VO _ _ gamma HB Hg).
Qed.
