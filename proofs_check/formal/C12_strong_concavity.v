(** C12. gamma > K makes o - gamma KL strongly concave on C, with constants, for every objective o whose
    curvature on C lies between -K^- F and K F; SAIL is one, with K_B and K^- at Z_max.

    mu = (gamma - K) e^{-DB} lambda_min(F(c)), Lambda = (gamma + K^-) D^2/4; and relative to
    A(theta) = E_x log sum nu exp(theta . phi): (gamma - K)-strongly concave, (gamma + K^-)-smooth. *)
Require Import Reals Lra Lia Psatz FunctionalExtensionality.
From Coquelicot Require Import Coquelicot.
From Sail Require Import Sums Vectors Sigmoid Prompt Derivatives C01_gradient C02_hessian C07_kl_hessian
  C11_relative_curvature Ascent Problem Objectives.
Open Scope R_scope.

(** Curvature on C relative to the Fisher form, prompt by prompt. *)
Definition bounded (P : problem) (o : objective) (K Km : R) : Prop :=
  forall x th v, (x < prompts P)%nat -> in_C P th ->
    - Km * fisher (prompt_at P x) (logit P th x) (logit P v x)
      <= val'' o x (logit P v x) (logit P v x) (logit P th x)
      <= K * fisher (prompt_at P x) (logit P th x) (logit P v x).

Definition modulus (P : problem) (K gamma : R) : R :=
  (gamma - K) * exp (- (diameter P * radius P)) * lambda_min P.
Definition smoothness (P : problem) (Km gamma : R) : R := (gamma + Km) * (diameter P)^2 / 4.

(** A and its Bregman distance; KL(pi_ref || pi_theta) = D_A(theta, theta_ref). *)
Definition potential (P : problem) : objective := {|
  val := fun x a => ln (partition (prompt_at P x) a);
  val' := fun x b a => E (prompt_at P x) a b;
  val'' := fun x b c a => fisher2 (prompt_at P x) a b c |}.
Definition A (P : problem) : vec -> R := total P (potential P).
Definition bregman (P : problem) (b a : vec) : R :=
  A P b - A P a - dot (dim P) (gradient P (potential P) a) (vsub b a).

(** C11 for SAIL on C, at Z_max. *)
Theorem C11_on_C : forall P, valid P ->
  bounded P (sail P) (K_B (temperature P) (z_max P)) (K_minus (temperature P) (z_max P)).
Proof.
  intros P VP x th v Hx Hth; simpl.
  pose proof (prompt_valid P VP x Hx) as VQ. pose proof (temperature_pos P VP) as T.
  pose proof (z_max_nonneg P VP) as Z0.
  assert (M : margins_within (prompt_at P x) (logit P th x) (z_max P)).
  { intros k l Hk Hl; now apply z_max_covers. }
  split; [now apply (C11_lower (prompt_at P x) VQ)|now apply (C11_K_B (prompt_at P x) VQ)].
Qed.

(** (max_x K_x): any bound valid for every prompt is valid for the average. *)
Theorem C11_averaged : forall P, valid P -> forall o K Km, bounded P o K Km -> forall th v, in_C P th ->
  - Km * fisher_form P th v <= curvature P o th v v <= K * fisher_form P th v.
Proof.
  intros P VP o K Km H th v Hth; unfold fisher_form, curvature; rewrite <- !Sum_scal; split; apply Sum_le; intros x Hx;
  destruct (H x th v Hx Hth) as [L U]; pose proof (weight_pos P VP x Hx) as W.
  - apply Rmult_le_compat_l with (r := weight P x) in L; lra.
  - apply Rmult_le_compat_l with (r := weight P x) in U; lra.
Qed.

Section C12.
Variable P : problem.
Hypothesis VP : valid P.
Notation d := (dim P).

Theorem potential_valid : valid_objective P (potential P).
Proof.
  constructor; intros x Hx; simpl; intros.
  - pose proof (partition_pos (prompt_at P x) (prompt_valid P VP x Hx) (line a b t)) as Z.
    evar_last.
    + apply (is_derive_comp ln (fun t => partition (prompt_at P x) (line a b t))).
      * apply is_derive_Reals, derivable_pt_lim_ln, Z.
      * apply partition_derive; now apply prompt_valid.
    + unfold scal; simpl; unfold mult; simpl. field; lra.
  - apply mean_derive; now apply prompt_valid.
  - apply (E_linear (prompt_at P x)).
  - apply (fisher2_linear (prompt_at P x)).
  - apply fisher2_sym.
Qed.

Lemma curvature_potential : forall th v, curvature P (potential P) th v v = fisher_form P th v.
Proof. intros; unfold curvature, fisher_form; apply Sum_ext; intros; simpl; rewrite fisher2_diag; reflexivity. Qed.

Theorem KL_is_bregman : forall th, mean_KL P th = bregman P th (reference P).
Proof.
  intros th; unfold bregman, A. rewrite (gradient_direction P _ potential_valid).
  unfold mean_KL, total. rewrite <- !Sum_minus; apply Sum_ext; intros x Hx; simpl.
  pose proof (prompt_valid P VP x Hx) as VQ. set (Q := prompt_at P x) in *.
  unfold KL.
  transitivity (weight P x * (ln (partition Q (logit P th x)) - ln (partition Q (logit P (reference P) x))
    - E Q (logit P (reference P) x) (logit P (vsub th (reference P)) x))); [|ring]. f_equal.
  change (ref Q) with (logit P (reference P) x). set (r := logit P (reference P) x).
  rewrite (E_ext Q r (fun k => log_pi Q r k - log_pi Q (logit P th x) k)
    (fun k => (ln (partition Q (logit P th x)) - ln (partition Q r)) - logit P (vsub th (reference P)) x k)).
  - rewrite (E_minus Q r (fun _ => _)), (E_const Q VQ); reflexivity.
  - intros k Hk. rewrite !(log_pi_eq Q VQ) by auto. rewrite logit_sub. unfold r; ring.
Qed.

Variable o : objective.
Hypothesis VO : valid_objective P o.
Variables K Km gamma : R.
Hypothesis HB : bounded P o K Km.
Notation o_ := (regularised P o gamma).
Notation f := (total P o_). Notation grad := (gradient P o_).
Let V_ : valid_objective P o_ := regularised_valid P VP o gamma VO.

(** (gamma - K) F <= - Hess (o - gamma KL) <= (gamma + K^-) F on C. *)
Theorem C12_relative_curvature : forall th v, in_C P th ->
  (gamma - K) * fisher_form P th v <= - curvature P o_ th v v <= (gamma + Km) * fisher_form P th v.
Proof.
  intros th v Hth. rewrite curvature_regularised. destruct (C11_averaged P VP o K Km HB th v Hth). split; lra.
Qed.

Lemma ray0 : forall a v, ray a v 0 = a.
Proof. intros; apply functional_extensionality; intros i; unfold ray; ring. Qed.
Lemma ray1 : forall a b, ray a (vsub b a) 1 = b.
Proof. intros; apply functional_extensionality; intros i; unfold ray, vsub; ring. Qed.

Lemma ray_in_C : forall a b t, in_C P a -> in_C P b -> 0 <= t <= 1 -> in_C P (ray a (vsub b a) t).
Proof. intros a b t Ha Hb Ht. change (in_C P (step a b t)). now apply in_C_convex. Qed.

(** Along the segment from a to b, s * f + r * A with second derivative at most M. *)
Lemma taylor_segment : forall s r M a b,
  (forall t, 0 <= t <= 1 -> s * curvature P o_ (ray a (vsub b a) t) (vsub b a) (vsub b a)
      + r * fisher_form P (ray a (vsub b a) t) (vsub b a) <= M) ->
  s * f b + r * A P b <= s * f a + r * A P a
    + (s * dot d (grad a) (vsub b a) + r * dot d (gradient P (potential P) a) (vsub b a)) + M / 2.
Proof.
  intros s r M a b H. set (v := vsub b a) in *.
  pose proof (taylor2 (fun t => s * f (ray a v t) + r * A P (ray a v t))
    (fun t => s * dot d (grad (ray a v t)) v + r * dot d (gradient P (potential P) (ray a v t)) v)
    (fun t => s * curvature P o_ (ray a v t) v v + r * curvature P (potential P) (ray a v t) v v) M) as T.
  cbv beta in T. assert (R1 : ray a v 1 = b) by apply ray1. rewrite R1, ray0 in T. apply T.
  - intros t. apply (is_derive_plus (fun t => s * f (ray a v t)) (fun t => r * A P (ray a v t)));
      apply is_derive_scal; [apply (total_derive P o_ V_)|apply (total_derive P _ potential_valid)].
  - intros t. apply (is_derive_plus (fun t => s * dot d (grad (ray a v t)) v) (fun t => r * dot d (gradient P (potential P) (ray a v t)) v));
      apply is_derive_scal; [apply (gradient_derive P o_ V_)|apply (gradient_derive P _ potential_valid)].
  - intros t Ht. rewrite curvature_potential. now apply H.
Qed.

(** Relative to A: -(o - gamma KL) is (gamma - K)-strongly convex and (gamma + K^-)-smooth. *)
Theorem C12_relative : forall a b, in_C P a -> in_C P b ->
  f b <= f a + dot d (grad a) (vsub b a) - (gamma - K) * bregman P b a /\
  f a + dot d (grad a) (vsub b a) - (gamma + Km) * bregman P b a <= f b.
Proof.
  intros a b Ha Hb; unfold bregman; split.
  - assert (T : 1 * f b + (gamma - K) * A P b <= 1 * f a + (gamma - K) * A P a
      + (1 * dot d (grad a) (vsub b a) + (gamma - K) * dot d (gradient P (potential P) a) (vsub b a)) + 0 / 2); [|lra].
    apply taylor_segment; intros t Ht.
    destruct (C12_relative_curvature (ray a (vsub b a) t) (vsub b a) (ray_in_C a b t Ha Hb Ht)). lra.
  - assert (T : (-1) * f b + (- (gamma + Km)) * A P b <= (-1) * f a + (- (gamma + Km)) * A P a
      + ((-1) * dot d (grad a) (vsub b a) + (- (gamma + Km)) * dot d (gradient P (potential P) a) (vsub b a)) + 0 / 2); [|lra].
    apply taylor_segment; intros t Ht.
    destruct (C12_relative_curvature (ray a (vsub b a) t) (vsub b a) (ray_in_C a b t Ha Hb Ht)). lra.
Qed.

Hypothesis gamma_large : K < gamma.
Notation mu := (modulus P K gamma). Notation Lam := (smoothness P Km gamma).

Lemma lambda_floor : forall v, in_S P v -> lambda_min P * norm2 d v <= fisher_form P (center P) v.
Proof.
  intros v Hv. destruct (S_trivial_or P) as [T|N]; [|now apply lambda_min_spec].
  assert (Z : norm2 d v = 0).
  { unfold norm2, dot; rewrite (Sum_ext d _ (fun _ => 0)); [apply Sum_0|]. intros i Hi; rewrite (T v Hv i Hi); ring. }
  rewrite Z, Rmult_0_r. now apply fisher_form_nonneg.
Qed.

(** v^T Hess v <= - mu |v|^2 for v in S, theta in C. *)
Theorem C12_curvature : forall th v, in_C P th -> in_S P v -> curvature P o_ th v v <= - mu * norm2 d v.
Proof.
  intros th v Hth Hv. destruct (C12_relative_curvature th v Hth) as [L _].
  pose proof (C09_averaged P VP th v Hth) as F. pose proof (lambda_floor v Hv) as G.
  pose proof (exp_pos (- (diameter P * radius P))) as X. set (e := exp (- (diameter P * radius P))) in *.
  assert (e * (lambda_min P * norm2 d v) <= fisher_form P th v)
    by (eapply Rle_trans; [|exact F]; apply Rmult_le_compat_l; lra).
  assert ((gamma - K) * (e * (lambda_min P * norm2 d v)) <= (gamma - K) * fisher_form P th v) by (apply Rmult_le_compat_l; lra).
  unfold modulus; fold e; lra.
Qed.

Theorem C12_general : strongly_concave d (in_C P) f grad mu.
Proof.
  intros a b Ha Hb.
  assert (T : 1 * f b + 0 * A P b <= 1 * f a + 0 * A P a
      + (1 * dot d (grad a) (vsub b a) + 0 * dot d (gradient P (potential P) a) (vsub b a)) + (- mu * norm2 d (vsub b a)) / 2); [|lra].
  apply taylor_segment; intros t Ht.
  pose proof (C12_curvature (ray a (vsub b a) t) (vsub b a) (ray_in_C a b t Ha Hb Ht) (in_C_difference P a b Ha Hb)). lra.
Qed.

Hypothesis S_nontrivial : exists v, in_S P v /\ 0 < norm2 d v.

Lemma modulus_pos : 0 < mu.
Proof.
  unfold modulus. destruct (lambda_min_spec P VP S_nontrivial) as [L _].
  apply Rmult_lt_0_compat; [apply Rmult_lt_0_compat; [lra|apply exp_pos]|auto].
Qed.

Lemma gamma_Km_pos : 0 < gamma + Km.
Proof.
  destruct S_nontrivial as [v [Sv Nv]].
  destruct (lambda_min_spec P VP S_nontrivial) as [L [F _]].
  assert (Fp : 0 < fisher_form P (center P) v).
  { eapply Rlt_le_trans; [|apply (F v Sv)]. now apply Rmult_lt_0_compat. }
  destruct (C12_relative_curvature (center P) v (in_C_center P)) as [L1 U1].
  assert (0 < (gamma - K) * fisher_form P (center P) v) by (apply Rmult_lt_0_compat; lra).
  apply Rmult_lt_reg_r with (fisher_form P (center P) v); [auto|lra].
Qed.

Lemma curvature_lower : forall th v, in_C P th -> - curvature P o_ th v v <= Lam * norm2 d v.
Proof.
  intros th v Hth. destruct (C12_relative_curvature th v Hth) as [_ U].
  pose proof (fisher_form_upper P VP th v) as F. pose proof gamma_Km_pos.
  assert ((gamma + Km) * fisher_form P th v <= (gamma + Km) * ((diameter P)^2 / 4 * norm2 d v)) by (apply Rmult_le_compat_l; lra).
  unfold smoothness; lra.
Qed.

Lemma modulus_le_smoothness : mu <= Lam.
Proof.
  destruct S_nontrivial as [v [Sv Nv]].
  pose proof (C12_curvature (center P) v (in_C_center P) Sv). pose proof (curvature_lower (center P) v (in_C_center P)).
  apply Rmult_le_reg_r with (norm2 d v); [auto|lra].
Qed.

Theorem C12_smooth : smooth d (in_C P) f grad Lam.
Proof.
  intros a b Ha Hb.
  assert (T : (-1) * f b + 0 * A P b <= (-1) * f a + 0 * A P a
      + ((-1) * dot d (grad a) (vsub b a) + 0 * dot d (gradient P (potential P) a) (vsub b a)) + (Lam * norm2 d (vsub b a)) / 2); [|lra].
  apply taylor_segment; intros t Ht.
  pose proof (curvature_lower (ray a (vsub b a) t) (vsub b a) (ray_in_C a b t Ha Hb Ht)). lra.
Qed.
End C12.

(** C12 as the page states it, for SAIL: K = K_B(beta, Z_max), K^- at Z_max. *)
Definition sail_modulus (P : problem) (gamma : R) : R := modulus P (K_B (temperature P) (z_max P)) gamma.
Definition sail_smoothness (P : problem) (gamma : R) : R := smoothness P (K_minus (temperature P) (z_max P)) gamma.

Theorem C12 : forall P, valid P -> forall gamma, K_B (temperature P) (z_max P) < gamma ->
  strongly_concave (dim P) (in_C P) (J_gamma P gamma) (gradient P (regularised P (sail P) gamma)) (sail_modulus P gamma)
  /\ ((exists v, in_S P v /\ 0 < norm2 (dim P) v) ->
      0 < sail_modulus P gamma /\
      smooth (dim P) (in_C P) (J_gamma P gamma) (gradient P (regularised P (sail P) gamma)) (sail_smoothness P gamma)).
Proof.
  intros P VP gamma Hg. pose proof (C11_on_C P VP) as HB. pose proof (sail_valid P VP) as VO. split.
  - exact (C12_general P VP (sail P) VO _ _ gamma HB Hg).
  - intros N. split; [exact (modulus_pos P VP _ gamma Hg N)|].
    exact (C12_smooth P VP (sail P) VO _ _ gamma HB Hg N).
Qed.

(** The closed form: gamma > beta (1.5 D (B + |theta_ref - c|) + 4) is above K_B. *)
Theorem closed_form_threshold : forall P, valid P ->
  K_B (temperature P) (z_max P)
    <= temperature P * (3 / 2 * (diameter P * (radius P + norm (dim P) (vsub (center P) (reference P)))) + 4).
Proof.
  intros P VP. pose proof (temperature_pos P VP) as T. pose proof (z_max_nonneg P VP) as Z0.
  pose proof (radius_nonneg P VP) as B0. pose proof (norm_nonneg P (vsub (center P) (reference P))) as N0.
  assert (D0 : 0 <= diameter P) by apply over_pairs_nonneg.
  eapply Rle_trans; [now apply K_B_le_closed|]. eapply Rle_trans; [now apply K_closed_simple|].
  assert (Z : z_max P <= temperature P * (diameter P * (radius P + norm (dim P) (vsub (center P) (reference P))))).
  { unfold z_max; apply Rmult_le_compat_l; [lra|]. apply over_pairs_le; [apply Rmult_le_pos; lra|].
    intros x k l Hx Hk Hl.
    pose proof (dot_norm P (vsub (center P) (reference P)) (difference P x k l)) as C1.
    assert (C2 : norm (dim P) (difference P x k l) <= diameter P)
      by (apply (over_pairs_ge P (fun x k l => norm (dim P) (difference P x k l))); auto).
    assert (norm (dim P) (vsub (center P) (reference P)) * norm (dim P) (difference P x k l)
      <= norm (dim P) (vsub (center P) (reference P)) * diameter P) by (apply Rmult_le_compat_l; auto).
    assert (radius P * norm (dim P) (difference P x k l) <= radius P * diameter P) by (apply Rmult_le_compat_l; auto).
    lra. }
  lra.
Qed.
