(** Strongly monotone Lipschitz fields on a closed convex C: one solution of the variational inequality.
    Then fields that are means over prompts, such as a gradient without its score term. *)
Require Import Reals Lra Lia Psatz FunctionalExtensionality.
From Coquelicot Require Import Coquelicot.
From Sail Require Import Sums Vectors Sigmoid Prompt Derivatives C07_kl_hessian Ascent Problem Objectives C12_strong_concavity.
Open Scope R_scope.

Section Monotone.
Variable d : nat.
Variable C : vec -> Prop.
Variable W : vec -> vec.
Notation dot := (dot d). Notation norm2 := (norm2 d).

(** -W is m-strongly monotone; W is Lipschitz, with constant l squared. *)
Definition strongly_monotone (m : R) : Prop := forall a b, C a -> C b ->
  dot (vsub (W a) (W b)) (vsub a b) <= - m * norm2 (vsub a b).
Definition lipschitz2 (l : R) : Prop := forall a b, C a -> C b -> norm2 (vsub (W a) (W b)) <= l * norm2 (vsub a b).
Definition solution (x : vec) : Prop := C x /\ forall q, C q -> dot (W x) (vsub q x) <= 0.

Variables m l : R.
Hypothesis m_pos : 0 < m.
Hypothesis l_pos : 0 < l.
Hypothesis C_convex : convex C.
Hypothesis C_closed : closed d C.
Hypothesis mono : strongly_monotone m.
Hypothesis lip : lipschitz2 l.

Theorem solution_unique : forall x y, solution x -> solution y -> same d x y.
Proof.
  intros x y [Cx Hx] [Cy Hy] i Hi.
  pose proof (Hx y Cy) as A. pose proof (Hy x Cx) as B. pose proof (mono x y Cx Cy) as M.
  assert (E : dot (vsub (W x) (W y)) (vsub x y) = - dot (W x) (vsub y x) - dot (W y) (vsub x y)).
  { rewrite dot_sub_l. f_equal. unfold Vectors.dot, vsub.
    transitivity (-1 * Sum d (fun i => W x i * (y i - x i))); [|ring]. rewrite <- Sum_scal; apply Sum_ext; intros; ring. }
  pose proof (norm2_nonneg d (vsub x y)).
  assert (Z : norm2 (vsub x y) = 0) by nra.
  pose proof (norm2_zero d _ Z i Hi) as Q; unfold vsub in Q; lra.
Qed.

Let l' := l + m^2.
Let eta := m / l'.
Let q := 1 - m^2 / l'.
Let ahead (a : vec) : vec := fun i => a i + eta * W a i.
Let T (a y : vec) : Prop := C y /\ forall z, C z -> norm2 (vsub y (ahead a)) <= norm2 (vsub z (ahead a)).

Lemma q_range : 0 < q < 1.
Proof.
  assert (P : 0 < m^2) by (apply pow_lt; auto).
  unfold q, l'. split.
  - assert (m^2 / (l + m^2) < 1); [|lra]. apply Rmult_lt_reg_r with (l + m^2); [lra|].
    replace (m^2 / (l + m^2) * (l + m^2)) with (m^2) by (field; lra). lra.
  - assert (0 < m^2 / (l + m^2)) by (apply Rdiv_lt_0_compat; lra). lra.
Qed.

Lemma norm2_sum_le : forall t a b, 0 < t -> norm2 (vadd a b) <= (1 + t) * norm2 a + (1 + / t) * norm2 b.
Proof.
  intros t a b Ht; unfold Vectors.norm2, Vectors.dot; rewrite <- !Sum_scal, <- Sum_plus; apply Sum_le; intros i _; unfold vadd.
  assert (0 <= / t * (t * a i - b i)^2) by (apply Rmult_le_pos; [left; now apply Rinv_0_lt_compat|apply pow2_ge_0]).
  assert (E : / t * (t * a i - b i)^2 = t * (a i * a i) - 2 * (a i * b i) + / t * (b i * b i)) by (field; lra). lra.
Qed.

Lemma step_contracts : forall a b y z, C a -> C b -> T a y -> T b z -> norm2 (vsub y z) <= q * norm2 (vsub a b).
Proof.
  intros a b y z Ca Cb [Cy Hy] [Cz Hz].
  pose proof (projection_obtuse d C _ y C_convex Cy Hy z Cz) as O1.
  pose proof (projection_obtuse d C _ z C_convex Cz Hz y Cy) as O2.
  assert (S : norm2 (vsub y z) <= dot (vsub (ahead a) (ahead b)) (vsub y z)).
  { assert (E : dot (vsub (ahead a) y) (vsub z y) + dot (vsub (ahead b) z) (vsub y z)
      = norm2 (vsub y z) - dot (vsub (ahead a) (ahead b)) (vsub y z)).
    { unfold Vectors.norm2, Vectors.dot, vsub; rewrite <- Sum_plus, <- Sum_minus; apply Sum_ext; intros; ring. } lra. }
  assert (N : norm2 (vsub y z) <= norm2 (vsub (ahead a) (ahead b))).
  { pose proof (dot_cs d (vsub (ahead a) (ahead b)) (vsub y z)) as CS.
    pose proof (norm2_nonneg d (vsub y z)) as N0. pose proof (norm2_nonneg d (vsub (ahead a) (ahead b))).
    destruct N0 as [N0|N0]; [|lra]. nra. }
  eapply Rle_trans; [exact N|].
  assert (E : norm2 (vsub (ahead a) (ahead b)) = norm2 (vsub a b) + 2 * eta * dot (vsub (W a) (W b)) (vsub a b) + eta^2 * norm2 (vsub (W a) (W b))).
  { unfold ahead, Vectors.norm2, Vectors.dot, vsub; rewrite <- !Sum_scal, <- !Sum_plus; apply Sum_ext; intros; ring. }
  rewrite E. pose proof (mono a b Ca Cb) as M. pose proof (lip a b Ca Cb) as Lp.
  assert (l'0 : 0 < l') by (unfold l'; pose proof (pow_lt m 2 m_pos); lra).
  assert (e0 : 0 < eta) by (unfold eta; now apply Rdiv_lt_0_compat).
  pose proof (norm2_nonneg d (vsub a b)) as Nab.
  assert (A1 : 2 * eta * dot (vsub (W a) (W b)) (vsub a b) <= 2 * eta * (- m * norm2 (vsub a b))) by (apply Rmult_le_compat_l; lra).
  assert (A2 : eta^2 * norm2 (vsub (W a) (W b)) <= eta^2 * (l' * norm2 (vsub a b))).
  { apply Rmult_le_compat_l; [apply pow2_ge_0|]. eapply Rle_trans; [exact Lp|]. apply Rmult_le_compat_r; auto.
    unfold l'; pose proof (pow2_ge_0 m); lra. }
  assert (Eq : norm2 (vsub a b) + 2 * eta * (- m * norm2 (vsub a b)) + eta^2 * (l' * norm2 (vsub a b)) = q * norm2 (vsub a b)).
  { unfold q, eta; field; lra. }
  lra.
Qed.

Theorem solution_exists : (exists a, C a) -> exists x, solution x.
Proof.
  intros [a0 H0].
  assert (T_ex : forall a, exists y, T a y).
  { intros a. destruct (projection_exists d C (ahead a) C_convex C_closed (ex_intro _ a0 H0)) as [y [Cy [My _]]].
    exists y; split; auto. }
  destruct q_range as [q0 q1].
  set (A := fun e a => C a /\ exists y, T a y /\ norm2 (vsub y a) <= e).
  assert (A_ex : forall e, 0 < e -> exists a, A e a).
  { intros e He. destruct (T_ex a0) as [y0 T0]. set (r0 := norm2 (vsub y0 a0)).
    assert (It : forall k, exists a, C a /\ exists y, T a y /\ norm2 (vsub y a) <= q^k * r0).
    { induction k as [|k [a [Ca [y [Ty Ny]]]]].
      - exists a0; split; auto. exists y0; split; auto. simpl; unfold r0; lra.
      - destruct Ty as [Cy My]. exists y; split; auto. destruct (T_ex y) as [z Tz]. exists z; split; auto.
        pose proof (step_contracts y a z y Cy Ca Tz (conj Cy My)) as S. simpl.
        apply Rmult_le_compat_l with (r := q) in Ny; lra. }
    assert (r00 : 0 <= r0) by apply norm2_nonneg.
    destruct (pow_lt_1_zero q ltac:(rewrite Rabs_pos_eq; lra) (e / (r0 + 1)) ltac:(apply Rdiv_lt_0_compat; lra)) as [N HN].
    destruct (It N) as [a [Ca [y [Ty Ny]]]]. exists a; split; auto. exists y; split; auto.
    pose proof (HN N (Nat.le_refl N)) as B. rewrite Rabs_pos_eq in B by (apply pow_le; lra).
    assert (q^N * r0 <= e / (r0 + 1) * r0) by (apply Rmult_le_compat_r; lra).
    assert (Ee : e / (r0 + 1) * (r0 + 1) = e) by (field; lra).
    assert (0 < e / (r0 + 1)) by (apply Rdiv_lt_0_compat; lra). lra. }
  set (kappa := 8 * (1 + q) / (1 - q)^2).
  assert (k0 : 0 <= kappa) by (left; apply Rdiv_lt_0_compat; [lra|apply pow_lt; lra]).
  assert (A_near : forall e a b, 0 < e -> A e a -> A e b -> norm2 (vsub a b) <= kappa * e).
  { intros e a b He [Ca [y [Ty Ny]]] [Cb [z [Tz Nz]]].
    pose proof (step_contracts a b y z Ca Cb Ty Tz) as S.
    set (t := (1 - q) / (2 * q)). assert (tp : 0 < t) by (apply Rdiv_lt_0_compat; lra).
    pose proof (norm2_sum_le t (vsub y z) (vadd (vsub a y) (vsub z b)) tp) as N1.
    pose proof (norm2_sum_le 1 (vsub a y) (vsub z b) Rlt_0_1) as N2.
    assert (E : norm2 (vsub a b) = norm2 (vadd (vsub y z) (vadd (vsub a y) (vsub z b)))).
    { unfold Vectors.norm2; apply dot_ext; intros i Hi; unfold vadd, vsub; ring. }
    rewrite (norm2_vsub_sym d a y) in N2. replace (1 + / 1) with 2 in N2 by field.
    assert (t1 : 1 + / t = (1 + q) / (1 - q)) by (unfold t; field; lra).
    assert (t2 : (1 + t) * q = (1 + q) / 2) by (unfold t; field; lra).
    assert (B1 : (1 + t) * norm2 (vsub y z) <= (1 + q) / 2 * norm2 (vsub a b)).
    { rewrite <- t2, Rmult_assoc. apply Rmult_le_compat_l; lra. }
    assert (P : 0 < (1 + q) / (1 - q)) by (apply Rdiv_lt_0_compat; lra).
    assert (B2 : (1 + / t) * norm2 (vadd (vsub a y) (vsub z b)) <= (1 + q) / (1 - q) * (4 * e)).
    { rewrite t1. apply Rmult_le_compat_l; lra. }
    apply Rmult_le_reg_l with ((1 - q) / 2); [lra|].
    replace ((1 - q) / 2 * (kappa * e)) with ((1 + q) / (1 - q) * (4 * e)) by (unfold kappa; field; lra). lra. }
  destruct (limit_point d C A kappa) as [x [Cx XN]]; auto.
  { intros e a [Ca _]; exact Ca. }
  { intros e e' a He [Ca [y [Ty Ny]]]; split; auto. exists y; split; auto; lra. }
  destruct (T_ex x) as [y Tx].
  assert (Small : forall e, 0 < e -> norm2 (vsub y x) <= (4 * (2 * (INR d * kappa)) + 4) * e).
  { intros e He. destruct (A_ex e He) as [a Ha]. pose proof (XN e a He Ha) as Nx. destruct Ha as [Ca [z [Tz Nz]]].
    pose proof (step_contracts x a y z Cx Ca Tx Tz) as S.
    pose proof (norm2_sum_le 1 (vsub y z) (vadd (vsub z a) (vsub a x)) Rlt_0_1) as N1.
    pose proof (norm2_sum_le 1 (vsub z a) (vsub a x) Rlt_0_1) as N2.
    assert (E : norm2 (vsub y x) = norm2 (vadd (vsub y z) (vadd (vsub z a) (vsub a x)))).
    { unfold Vectors.norm2; apply dot_ext; intros i Hi; unfold vadd, vsub; ring. }
    rewrite (norm2_vsub_sym d a x) in N2. replace (1 + / 1) with 2 in * by field.
    pose proof (norm2_nonneg d (vsub x a)) as N0.
    assert (q * norm2 (vsub x a) <= 1 * norm2 (vsub x a)) by (apply Rmult_le_compat_r; lra). lra. }
  assert (Z : norm2 (vsub y x) = 0).
  { pose proof (norm2_nonneg d (vsub y x)) as [N|N]; [exfalso|auto].
    assert (dk : 0 <= INR d * kappa) by (apply Rmult_le_pos; [apply pos_INR|auto]).
    set (c := 4 * (2 * (INR d * kappa)) + 4) in *. assert (c0 : 0 < c) by (unfold c; lra).
    pose proof (Small (norm2 (vsub y x) / (2 * c)) ltac:(apply Rdiv_lt_0_compat; lra)) as S.
    replace (c * (norm2 (vsub y x) / (2 * c))) with (norm2 (vsub y x) / 2) in S by (field; lra). lra. }
  exists x; split; auto. intros z Cz. destruct Tx as [Cy My].
  pose proof (projection_obtuse d C _ y C_convex Cy My z Cz) as O.
  assert (Y : same d y x) by (intros i Hi; pose proof (norm2_zero d _ Z i Hi) as H; unfold vsub in H; lra).
  assert (E : dot (vsub (ahead x) y) (vsub z y) = eta * dot (W x) (vsub z x)).
  { unfold Vectors.dot; rewrite <- Sum_scal; apply Sum_ext; intros i Hi. unfold vsub, ahead; rewrite (Y i Hi); ring. }
  assert (e0 : 0 < eta) by (unfold eta, l'; apply Rdiv_lt_0_compat; [auto|pose proof (pow_lt m 2 m_pos); lra]).
  rewrite E in O. apply Rmult_le_reg_l with eta; lra.
Qed.
End Monotone.

Lemma mean_value : forall g g' : R -> R, (forall t, is_derive g t (g' t)) -> exists c, 0 <= c <= 1 /\ g 1 - g 0 = g' c.
Proof.
  intros g g' H. destruct (MVT_gen g 0 1 g') as [c [Hc E]].
  - intros; apply H.
  - intros t _; apply continuity_pt_filterlim, (ex_derive_continuous g); eexists; apply H.
  - rewrite Rmin_left, Rmax_right in Hc by lra. exists c; split; auto. lra.
Qed.

(** * Fields that are means over prompts *)
Record field := {
  fld : nat -> (nat -> R) -> (nat -> R) -> R;                        (* prompt, component b, logits *)
  fld' : nat -> (nat -> R) -> (nat -> R) -> (nat -> R) -> R }.       (* component b, derivative along c *)

Record valid_field (P : problem) (F : field) : Prop := {
  field_derivative : forall x, (x < prompts P)%nat -> forall a b c t,
    is_derive (fun t => fld F x b (line a c t)) t (fld' F x b c (line a c t));
  field_linear : forall x, (x < prompts P)%nat -> forall a, linear (size P x) (fun b => fld F x b a) }.

Definition field_at (P : problem) (F : field) (th : vec) : vec := fun i =>
  Sum (prompts P) (fun x => weight P x * fld F x (fun k => feature P x k i) (logit P th x)).

(** F - gamma grad KL(pi_ref || pi_theta). *)
Definition field_with_KL (P : problem) (F : field) (gamma : R) : field := {|
  fld := fun x b a => fld F x b a - gamma * KL' (prompt_at P x) b a;
  fld' := fun x b c a => fld' F x b c a - gamma * fisher2 (prompt_at P x) a b c |}.

(** v^T DF v <= K v^T F v and |v^T DF w| <= M (s v^T F v + w^T F w / s) on C, prompt by prompt. *)
Definition field_bounded (P : problem) (F : field) (K M : R) : Prop :=
  forall x th, (x < prompts P)%nat -> in_C P th ->
    (forall v, fld' F x v v (logit P th x) <= K * fisher (prompt_at P x) (logit P th x) v) /\
    (forall s v w, 0 < s -> Rabs (fld' F x v w (logit P th x))
      <= M * (s * fisher (prompt_at P x) (logit P th x) v + fisher (prompt_at P x) (logit P th x) w / s)).

Section Fields.
Variable P : problem.
Hypothesis VP : valid P.
Variable F : field.
Hypothesis VF : valid_field P F.
Notation d := (dim P). Notation n := (prompts P).

Lemma field_direction : forall th v, dot d (field_at P F th) v = Sum n (fun x => weight P x * fld F x (logit P v x) (logit P th x)).
Proof.
  intros; unfold dot, field_at. symmetry.
  transitivity (Sum n (fun x => Sum d (fun i => v i * (weight P x * fld F x (fun k => feature P x k i) (logit P th x))))).
  - apply Sum_ext; intros x Hx.
    pose proof (linear_sum _ _ (field_linear P F VF x Hx (logit P th x)) d v (fun i k => feature P x k i)) as L; cbv beta in L.
    change (logit P v x) with (fun k => Sum d (fun i => v i * feature P x k i)). rewrite L, <- Sum_scal.
    apply Sum_ext; intros; ring.
  - rewrite Sum_swap; apply Sum_ext; intros; rewrite Sum_scal; ring.
Qed.

Theorem field_derive : forall th v w t, is_derive (fun t => dot d (field_at P F (ray th w t)) v) t
  (Sum n (fun x => weight P x * fld' F x (logit P v x) (logit P w x) (logit P (ray th w t) x))).
Proof.
  intros. eapply is_derive_ext; [intros s; symmetry; apply field_direction|].
  apply (Sum_derive n (fun x t => weight P x * fld F x (logit P v x) (logit P (ray th w t) x))
    (fun x => weight P x * fld' F x (logit P v x) (logit P w x) (logit P (ray th w t) x))).
  intros x Hx; apply is_derive_scal.
  eapply is_derive_ext; [intros; rewrite logit_ray; reflexivity|].
  rewrite logit_ray; now apply (field_derivative P F VF).
Qed.
End Fields.

Lemma field_with_KL_valid : forall P, valid P -> forall F gamma, valid_field P F -> valid_field P (field_with_KL P F gamma).
Proof.
  intros P VP F gamma V; constructor; intros x Hx; simpl; intros.
  - apply (is_derive_minus (fun t => fld F x b (line a c t)) (fun t => gamma * KL' (prompt_at P x) b (line a c t))).
    + now apply (field_derivative P F V).
    + apply is_derive_scal, C07; now apply prompt_valid.
  - apply linear_minus; [now apply (field_linear P F V)|apply (KL'_linear (prompt_at P x))].
Qed.

Lemma fisher2_young : forall Q, valid_prompt Q -> forall x b c s, 0 < s ->
  Rabs (fisher2 Q x b c) <= / 2 * (s * fisher Q x b + fisher Q x c / s).
Proof.
  intros Q VQ x b c s Hs.
  assert (A : forall e, e = 1 \/ e = -1 -> e * fisher2 Q x b c <= / 2 * (s * fisher Q x b + fisher Q x c / s)).
  { intros e He.
    assert (N : 0 <= E Q x (fun k => (s * score Q x b k - e * score Q x c k)^2)).
    { rewrite <- (E_const Q VQ x 0); apply (E_le Q VQ); intros; apply pow2_ge_0. }
    rewrite (E_ext Q x _ (fun k => s^2 * (score Q x b k)^2 + ((- 2 * s * e) * (score Q x b k * score Q x c k) + (score Q x c k)^2))) in N.
    - rewrite E_plus, E_plus, !E_scal in N. fold (fisher Q x b) (fisher Q x c) (fisher2 Q x b c) in N.
      apply Rmult_le_reg_l with (2 * s); [lra|].
      replace (2 * s * (/ 2 * (s * fisher Q x b + fisher Q x c / s))) with (s^2 * fisher Q x b + fisher Q x c) by (field; lra). lra.
    - intros; destruct He as [-> | ->]; ring. }
  pose proof (A 1 (or_introl eq_refl)). pose proof (A (-1) (or_intror eq_refl)). apply Rabs_le; lra.
Qed.

(** For gamma > K the field minus gamma grad KL is strongly monotone on C along S, with the modulus of C12,
    and Lipschitz; so its variational inequality has one solution on C. *)
Section Threshold.
Variable P : problem.
Hypothesis VP : valid P.
Variable F : field.
Hypothesis VF : valid_field P F.
Variables K M gamma : R.
Hypothesis HB : field_bounded P F K M.
Hypothesis gamma_large : K < gamma.
Notation d := (dim P). Notation n := (prompts P).
Notation W := (field_at P (field_with_KL P F gamma)).
Let VW : valid_field P (field_with_KL P F gamma) := field_with_KL_valid P VP F gamma VF.

Theorem threshold_monotone : strongly_monotone d (in_C P) W (modulus P K gamma).
Proof.
  intros a b Ha Hb. set (v := vsub a b).
  destruct (mean_value (fun t => dot d (W (ray b v t)) v) _ (fun t => field_derive P (field_with_KL P F gamma) VW b v v t)) as [c [Hc E]].
  assert (R1 : ray b v 1 = a) by apply ray1. assert (R0 : ray b v 0 = b) by apply ray0. rewrite R1, R0 in E.
  rewrite dot_sub_l, E.
  assert (Cc : in_C P (ray b v c)) by now apply ray_in_C.
  assert (Sv : in_S P v) by (apply (in_C_difference P b a); auto).
  apply Rle_trans with (- (gamma - K) * fisher_form P (ray b v c) v).
  - unfold fisher_form; rewrite <- Sum_scal; apply Sum_le; intros x Hx; simpl. rewrite fisher2_diag.
    destruct (HB x (ray b v c) Hx Cc) as [U _]. pose proof (U (logit P v x)). pose proof (weight_pos P VP x Hx) as Wp.
    apply Rmult_le_compat_l with (r := weight P x) in H; lra.
  - pose proof (C09_averaged P VP (ray b v c) v Cc) as Fl. pose proof (lambda_floor P VP v Sv) as G.
    pose proof (exp_pos (- (diameter P * radius P))) as X. unfold modulus. set (e := exp (- (diameter P * radius P))) in *.
    assert (e * (lambda_min P * norm2 d v) <= fisher_form P (ray b v c) v) by (eapply Rle_trans; [|exact Fl]; apply Rmult_le_compat_l; lra).
    assert ((gamma - K) * (e * (lambda_min P * norm2 d v)) <= (gamma - K) * fisher_form P (ray b v c) v) by (apply Rmult_le_compat_l; lra).
    lra.
Qed.

Lemma threshold_lipschitz : exists l, 0 < l /\ lipschitz2 d (in_C P) W l.
Proof.
  set (k := (Rabs M + Rabs gamma / 2) * ((diameter P)^2 / 4) + 1).
  assert (k0 : 0 < k).
  { unfold k. pose proof (Rabs_pos M). pose proof (Rabs_pos gamma). pose proof (pow2_ge_0 (diameter P)). nra. }
  exists (4 * k^2). split; [pose proof (pow_lt k 2 k0); lra|].
  intros a b Ha Hb. set (w := vsub a b). set (v := vsub (W a) (W b)).
  destruct (mean_value (fun t => dot d (W (ray b w t)) v) _ (fun t => field_derive P (field_with_KL P F gamma) VW b v w t)) as [c [Hc E]].
  assert (R1 : ray b w 1 = a) by apply ray1. assert (R0 : ray b w 0 = b) by apply ray0. rewrite R1, R0 in E.
  rewrite <- dot_sub_l in E. fold v in E. fold (norm2 d v) in E.
  assert (Cc : in_C P (ray b w c)) by now apply ray_in_C. set (th := ray b w c) in *.
  set (s := / (2 * k)). assert (s0 : 0 < s) by (apply Rinv_0_lt_compat; lra).
  assert (U : norm2 d v <= (Rabs M + Rabs gamma / 2) * (s * fisher_form P th v + fisher_form P th w / s)).
  { rewrite E. unfold fisher_form. unfold Rdiv at 2. rewrite <- Sum_scal_r, <- Sum_scal, <- Sum_plus, <- Sum_scal; apply Sum_le; intros x Hx; simpl.
    destruct (HB x th Hx Cc) as [_ B]. pose proof (B s (logit P v x) (logit P w x) s0) as B1.
    pose proof (fisher2_young _ (prompt_valid P VP x Hx) (logit P th x) (logit P v x) (logit P w x) s s0) as B2.
    pose proof (weight_pos P VP x Hx) as Wp.
    set (fv := fisher (prompt_at P x) (logit P th x) (logit P v x)) in *. set (fw := fisher (prompt_at P x) (logit P th x) (logit P w x)) in *.
    assert (f0 : 0 <= s * fv + fw / s).
    { pose proof (fisher_nonneg _ (prompt_valid P VP x Hx) (logit P th x) (logit P v x)). pose proof (fisher_nonneg _ (prompt_valid P VP x Hx) (logit P th x) (logit P w x)).
      apply Rplus_le_le_0_compat; [apply Rmult_le_pos; [lra|auto]|apply Rmult_le_pos; [auto|left; now apply Rinv_0_lt_compat]]. }
    assert (M * (s * fv + fw / s) <= Rabs M * (s * fv + fw / s)) by (apply Rmult_le_compat_r; [auto|apply Rle_abs]).
    pose proof (Rle_abs (fld' F x (logit P v x) (logit P w x) (logit P th x))).
    pose proof (Rle_abs (- (gamma * fisher2 (prompt_at P x) (logit P th x) (logit P v x) (logit P w x)))) as AG.
    rewrite Rabs_Ropp, Rabs_mult in AG. pose proof (Rabs_pos gamma).
    assert (Rabs gamma * Rabs (fisher2 (prompt_at P x) (logit P th x) (logit P v x) (logit P w x)) <= Rabs gamma * (/ 2 * (s * fv + fw / s))) by (apply Rmult_le_compat_l; auto).
    replace ((Rabs M + Rabs gamma / 2) * (s * (weight P x * fv) + weight P x * fw * / s))
      with (weight P x * ((Rabs M + Rabs gamma / 2) * (s * fv + fw / s))) by (unfold Rdiv; ring).
    apply Rmult_le_compat_l; lra. }
  pose proof (fisher_form_upper P VP th v) as Fv. pose proof (fisher_form_upper P VP th w) as Fw.
  pose proof (norm2_nonneg d v). pose proof (norm2_nonneg d w).
  set (g := Rabs M + Rabs gamma / 2) in *. set (D4 := (diameter P)^2 / 4) in *.
  assert (g0 : 0 <= g) by (unfold g; pose proof (Rabs_pos M); pose proof (Rabs_pos gamma); lra).
  assert (D0 : 0 <= D4) by (unfold D4; pose proof (pow2_ge_0 (diameter P)); lra).
  assert (U2 : norm2 d v <= (g * D4) * (s * norm2 d v + norm2 d w / s)).
  { eapply Rle_trans; [exact U|]. rewrite Rmult_assoc. apply Rmult_le_compat_l; auto.
    assert (s * fisher_form P th v <= s * (D4 * norm2 d v)) by (apply Rmult_le_compat_l; lra).
    assert (fisher_form P th w / s <= D4 * norm2 d w / s) by (apply Rmult_le_compat_r; [left; now apply Rinv_0_lt_compat|auto]).
    unfold Rdiv in *; lra. }
  assert (gk : g * D4 <= k) by (unfold k; lra).
  assert (T0 : 0 <= s * norm2 d v + norm2 d w / s).
  { apply Rplus_le_le_0_compat; [apply Rmult_le_pos; lra|apply Rmult_le_pos; [auto|left; now apply Rinv_0_lt_compat]]. }
  assert (U3 : norm2 d v <= k * (s * norm2 d v + norm2 d w / s)).
  { eapply Rle_trans; [exact U2|]. now apply Rmult_le_compat_r. }
  replace (k * (s * norm2 d v + norm2 d w / s)) with (norm2 d v / 2 + 2 * k^2 * norm2 d w) in U3 by (unfold s; field; lra).
  lra.
Qed.

Theorem threshold_solution : exists x, solution d (in_C P) W x /\ forall y, solution d (in_C P) W y -> same d x y.
Proof.
  destruct (S_trivial_or P) as [T|N].
  - exists (center P); split; [split; [apply in_C_center|]|].
    + intros q Hq. pose proof (S_trivial_one_point P T (center P) q (in_C_center P) Hq) as Sm.
      apply Req_le; unfold dot; rewrite (Sum_ext d _ (fun _ => 0)); [apply Sum_0|].
      intros i Hi; unfold vsub; rewrite (Sm i Hi); ring.
    + intros y [Hy _]. apply S_trivial_one_point; auto. apply in_C_center.
  - pose proof (modulus_pos P VP K gamma gamma_large N) as Mp. destruct threshold_lipschitz as [l [l0 Hl]].
    destruct (solution_exists d (in_C P) W (modulus P K gamma) l Mp l0 (in_C_convex P) (in_C_closed P VP) threshold_monotone Hl) as [x Hx].
    { exists (center P); apply in_C_center. }
    exists x; split; auto. intros y Hy. exact (solution_unique d (in_C P) W (modulus P K gamma) Mp threshold_monotone x y Hx Hy).
Qed.
End Threshold.
