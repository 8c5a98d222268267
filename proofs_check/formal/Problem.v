(** A preference problem: prompts, features in R^d, the domain C = ball(c, B) /\ (c + S), where S is
    the span of the within-prompt feature differences; objectives that are means over prompts. *)
Require Import Reals Lra Lia Psatz List FunctionalExtensionality.
From Coquelicot Require Import Coquelicot.
From Sail Require Import Sums Vectors Sigmoid Prompt Derivatives C09_fisher_floor.
Open Scope R_scope.

Record problem := {
  dim : nat;                                   (* d *)
  prompts : nat;                               (* n *)
  weight : nat -> R;                           (* rho x *)
  size : nat -> nat;                           (* m_x *)
  feature : nat -> nat -> vec;                 (* phi(x, y_k) *)
  measure : nat -> nat -> R;                   (* nu(y_k | x) *)
  preference : nat -> nat -> nat -> R;         (* P*(y_k beats y_l | x) *)
  temperature : R;                             (* beta *)
  reference : vec;                             (* theta_ref *)
  center : vec;                                (* c *)
  radius : R }.                                (* B *)

Definition logit (P : problem) (th : vec) (x k : nat) : R := dot (dim P) th (feature P x k).
Definition prompt_at (P : problem) (x : nat) : prompt :=
  {| responses := size P x; base := measure P x; pref := preference P x;
     ref := logit P (reference P) x; beta := temperature P |}.

Record valid (P : problem) : Prop := {
  weight_pos : forall x, (x < prompts P)%nat -> 0 < weight P x;
  weight_sum : Sum (prompts P) (weight P) = 1;
  prompt_valid : forall x, (x < prompts P)%nat -> valid_prompt (prompt_at P x);
  temperature_pos : 0 < temperature P;
  radius_nonneg : 0 <= radius P }.

(** Feature differences, the span S and the domain C. *)
Definition difference (P : problem) (x k l : nat) : vec := vsub (feature P x k) (feature P x l).
Definition differences (P : problem) : list vec :=
  flat_map (fun x => flat_map (fun k => map (difference P x k) (seq 0 (size P x))) (seq 0 (size P x)))
    (seq 0 (prompts P)).
Definition in_S (P : problem) (v : vec) : Prop := span (dim P) (differences P) v.
Definition in_C (P : problem) (th : vec) : Prop :=
  norm2 (dim P) (vsub th (center P)) <= (radius P)^2 /\ in_S P (vsub th (center P)).

(** The averaged Fisher form, and KL. *)
Definition fisher_form (P : problem) (th v : vec) : R :=
  Sum (prompts P) (fun x => weight P x * fisher (prompt_at P x) (logit P th x) (logit P v x)).
Definition mean_KL (P : problem) (th : vec) : R :=
  Sum (prompts P) (fun x => weight P x * KL (prompt_at P x) (logit P th x)).
Definition mean_J (P : problem) (th : vec) : R :=
  Sum (prompts P) (fun x => weight P x * J (prompt_at P x) (logit P th x)).

(** Constants of the problem: D, Z_max and the least eigenvalue of F(c) on S. *)
Definition norm (d : nat) (v : vec) : R := sqrt (norm2 d v).
Definition over_pairs (P : problem) (f : nat -> nat -> nat -> R) : R :=
  Max (prompts P) (fun x => Max (size P x) (fun k => Max (size P x) (fun l => f x k l))).
Definition diameter (P : problem) : R := over_pairs P (fun x k l => norm (dim P) (difference P x k l)).
Definition z_max (P : problem) : R := temperature P * over_pairs P (fun x k l =>
  dot (dim P) (vsub (center P) (reference P)) (difference P x k l) + radius P * norm (dim P) (difference P x k l)).
Definition lambda_min (P : problem) : R :=
  real (Lub_Rbar (fun l => forall v, in_S P v -> l * norm2 (dim P) v <= fisher_form P (center P) v)).

Section Problem.
Variable P : problem.
Notation d := (dim P). Notation n := (prompts P).

Lemma in_differences : forall x k l, (x < n)%nat -> (k < size P x)%nat -> (l < size P x)%nat ->
  In (difference P x k l) (differences P).
Proof.
  intros x k l Hx Hk Hl; unfold differences.
  apply in_flat_map; exists x; split; [apply in_seq; lia|].
  apply in_flat_map; exists k; split; [apply in_seq; lia|].
  apply in_map, in_seq; lia.
Qed.

Lemma differences_in : forall g, In g (differences P) ->
  exists x k l, (x < n)%nat /\ (k < size P x)%nat /\ (l < size P x)%nat /\ g = difference P x k l.
Proof.
  intros g H; unfold differences in H.
  apply in_flat_map in H; destruct H as [x [Hx H]].
  apply in_flat_map in H; destruct H as [k [Hk H]].
  apply in_map_iff in H; destruct H as [l [<- Hl]].
  apply in_seq in Hx; apply in_seq in Hk; apply in_seq in Hl. exists x, k, l; repeat split; lia.
Qed.

Lemma over_pairs_ge : forall f x k l, (x < n)%nat -> (k < size P x)%nat -> (l < size P x)%nat ->
  f x k l <= over_pairs P f.
Proof.
  intros f x k l Hx Hk Hl; unfold over_pairs.
  eapply Rle_trans; [|apply (Max_ge n _ x Hx)]. eapply Rle_trans; [|apply (Max_ge (size P x) _ k Hk)].
  apply (Max_ge (size P x) (fun l => f x k l) l Hl).
Qed.

Lemma over_pairs_le : forall f c, 0 <= c ->
  (forall x k l, (x < n)%nat -> (k < size P x)%nat -> (l < size P x)%nat -> f x k l <= c) -> over_pairs P f <= c.
Proof. intros; unfold over_pairs. repeat (apply Max_le; auto; intros). Qed.

Lemma over_pairs_nonneg : forall f, 0 <= over_pairs P f.
Proof. intros; apply Max_nonneg. Qed.

Lemma logit_difference : forall v x k l, logit P v x k - logit P v x l = dot d v (difference P x k l).
Proof. intros; unfold logit, difference; rewrite dot_sub_r; ring. Qed.

Lemma logit_sub : forall a b x k, logit P (vsub a b) x k = logit P a x k - logit P b x k.
Proof. intros; unfold logit; apply dot_sub_l. Qed.

Lemma logit_same : forall a b x, same d a b -> logit P a x = logit P b x.
Proof.
  intros a b x H; apply functional_extensionality; intros k; unfold logit.
  apply dot_ext; [exact H|now intros i Hi].
Qed.

Lemma logit_ray : forall th v t x, logit P (ray th v t) x = line (logit P th x) (logit P v x) t.
Proof.
  intros; apply functional_extensionality; intros k; unfold logit, line, dot, ray.
  rewrite <- Sum_scal, <- Sum_plus; apply Sum_ext; intros; ring.
Qed.

Lemma dot_norm : forall a b, dot d a b <= norm d a * norm d b.
Proof.
  intros. pose proof (dot_cs d a b) as CS. unfold norm. rewrite <- sqrt_mult by apply norm2_nonneg.
  apply Rsqr_incr_0_var; [|apply sqrt_pos]. rewrite Rsqr_sqrt; [unfold Rsqr; lra|].
  apply Rmult_le_pos; apply norm2_nonneg.
Qed.

Lemma norm_le : forall v r, 0 <= r -> norm2 d v <= r^2 -> norm d v <= r.
Proof.
  intros v r Hr H; unfold norm. rewrite <- (sqrt_pow2 r) by auto. apply sqrt_le_1; auto; [apply norm2_nonneg|apply pow2_ge_0].
Qed.

Lemma norm_sq : forall v, (norm d v)^2 = norm2 d v.
Proof. intros; unfold norm; apply pow2_sqrt, norm2_nonneg. Qed.

Lemma norm_nonneg : forall v, 0 <= norm d v.
Proof. intros; apply sqrt_pos. Qed.

Lemma logit_range : forall v x k l, (x < n)%nat -> (k < size P x)%nat -> (l < size P x)%nat ->
  logit P v x k - logit P v x l <= norm d v * diameter P.
Proof.
  intros v x k l Hx Hk Hl. rewrite logit_difference.
  eapply Rle_trans; [apply dot_norm|]. apply Rmult_le_compat_l; [apply norm_nonneg|].
  apply (over_pairs_ge (fun x k l => norm d (difference P x k l))); auto.
Qed.

(** The span is not {0}, or every vector of it is 0. *)
Definition S_trivial : Prop := forall v, in_S P v -> same d v (fun _ => 0).

Lemma S_trivial_or : S_trivial \/ exists v, in_S P v /\ 0 < norm2 d v.
Proof.
  destruct (Classical_Prop.classic (exists v, in_S P v /\ 0 < norm2 d v)) as [|N]; [now right|left].
  intros v Hv i Hi. destruct (Req_dec (norm2 d v) 0) as [Z|Z]; [apply (norm2_zero d v Z i Hi)|].
  exfalso; apply N; exists v; split; auto. pose proof (norm2_nonneg d v); lra.
Qed.

Hypothesis VP : valid P.

Lemma in_C_center : in_C P (center P).
Proof.
  assert (Z : same d (vsub (center P) (center P)) (fun _ => 0)) by (intros i Hi; unfold vsub; ring).
  split; [|now apply span_zero].
  assert (N : norm2 d (vsub (center P) (center P)) = 0).
  { unfold norm2, dot; rewrite (Sum_ext d _ (fun _ => 0)); [apply Sum_0|]. intros; rewrite Z; auto; ring. }
  rewrite N; apply pow2_ge_0.
Qed.

Lemma in_C_difference : forall a b, in_C P a -> in_C P b -> in_S P (vsub b a).
Proof.
  intros a b [_ Sa] [_ Sb]. apply (span_ext d _ (vsub (vsub b (center P)) (vsub a (center P)))).
  - intros i Hi; unfold vsub; ring.
  - now apply span_sub.
Qed.

Lemma in_C_convex : convex (in_C P).
Proof.
  intros a b t [Ha Sa] [Hb Sb] Ht; split.
  - assert (H : norm2 d (vsub (step a b t) (center P)) <= (1 - t) * norm2 d (vsub a (center P)) + t * norm2 d (vsub b (center P))).
    { unfold norm2, dot; rewrite <- !Sum_scal, <- Sum_plus; apply Sum_le; intros i _; unfold vsub, step.
      assert (0 <= t * (1 - t) * (a i - b i)^2) by (apply Rmult_le_pos; [nra|apply pow2_ge_0]). nra. }
    nra.
  - apply (span_ext d _ (fun i => (1 - t) * vsub a (center P) i + t * vsub b (center P) i)); [|now apply span_combine].
    intros i Hi; unfold vsub, step; ring.
Qed.

Lemma in_C_closed : closed d (in_C P).
Proof.
  intros x H. pose proof (radius_nonneg P VP) as B0. split.
  - destruct (Rle_dec (norm2 d (vsub x (center P))) ((radius P)^2)) as [|N]; [auto|exfalso].
    assert (L : radius P < norm d (vsub x (center P))).
    { rewrite <- (norm_sq (vsub x (center P))) in N. pose proof (norm_nonneg (vsub x (center P))). nra. }
    set (e := (norm d (vsub x (center P)) - radius P) / 2). assert (He : 0 < e) by (unfold e; lra).
    destruct (H (e^2)) as [a [[Ca _] Na]]; [now apply pow_lt|].
    assert (T : norm2 d (vadd (vsub x a) (vsub a (center P))) <= (e + radius P)^2) by (apply norm2_add_le; auto; lra).
    assert (E' : norm2 d (vsub x (center P)) = norm2 d (vadd (vsub x a) (vsub a (center P)))).
    { unfold norm2; apply dot_ext; intros i Hi; unfold vadd, vsub; ring. }
    pose proof (norm_le (vsub x (center P)) (e + radius P) ltac:(lra) ltac:(lra)). unfold e in *; lra.
  - apply span_closed. intros e He. destruct (H e He) as [a [[_ Sa] Na]].
    exists (vsub a (center P)); split; auto.
    replace (norm2 d (vsub (vsub x (center P)) (vsub a (center P)))) with (norm2 d (vsub x a)); auto.
    unfold norm2; apply dot_ext; intros i Hi; unfold vsub; ring.
Qed.

(** |z| <= Z_max on C. *)
Lemma z_max_nonneg : 0 <= z_max P.
Proof. apply Rmult_le_pos; [left; apply (temperature_pos P VP)|apply over_pairs_nonneg]. Qed.

Theorem z_max_covers : forall th x, in_C P th -> (x < n)%nat -> forall k l, (k < size P x)%nat -> (l < size P x)%nat ->
  Rabs (margin (prompt_at P x) (logit P th x) k l) <= z_max P.
Proof.
  intros th x [Hth _] Hx. pose proof (temperature_pos P VP) as Tb.
  assert (A : forall k l, (k < size P x)%nat -> (l < size P x)%nat ->
    margin (prompt_at P x) (logit P th x) k l <= z_max P).
  { intros k l Hk Hl. unfold margin; simpl.
    replace (logit P th x k - logit P (reference P) x k - (logit P th x l - logit P (reference P) x l))
      with (dot d (vsub (center P) (reference P)) (difference P x k l) + dot d (vsub th (center P)) (difference P x k l)).
    2:{ rewrite !dot_sub_l, <- !logit_difference; ring. }
    unfold z_max. apply Rmult_le_compat_l; [lra|].
    eapply Rle_trans; [|apply (over_pairs_ge _ x k l Hx Hk Hl)]. apply Rplus_le_compat_l.
    eapply Rle_trans; [apply dot_norm|]. apply Rmult_le_compat_r; [apply norm_nonneg|].
    apply norm_le; auto. apply (radius_nonneg P VP). }
  intros k l Hk Hl. apply Rabs_le; split; [|now apply A].
  pose proof (A l k Hl Hk) as H. rewrite margin_anti in H. lra.
Qed.

(** The Fisher form: nonnegative, at most (D^2/4)|v|^2, at least e^{-DB} of its value at c on C. *)
Lemma fisher_form_nonneg : forall th v, 0 <= fisher_form P th v.
Proof.
  intros; apply Sum_nonneg; intros x Hx; apply Rmult_le_pos; [left; now apply weight_pos|].
  apply fisher_nonneg, prompt_valid; auto.
Qed.

Lemma fisher_form_upper : forall th v, fisher_form P th v <= (diameter P)^2 / 4 * norm2 d v.
Proof.
  intros. rewrite <- (Rmult_1_l ((diameter P)^2 / 4 * norm2 d v)), <- (weight_sum P VP), <- Sum_scal_r.
  apply Sum_le; intros x Hx; apply Rmult_le_compat_l; [left; now apply weight_pos|].
  replace ((diameter P)^2 / 4 * norm2 d v) with ((norm d v * diameter P)^2 / 4)
    by (rewrite Rpow_mult_distr, norm_sq; field).
  apply fisher_popoviciu; [now apply prompt_valid|]. intros k l Hk Hl.
  apply Rabs_le; split; [|now apply logit_range].
  pose proof (logit_range v x l k Hx Hl Hk). lra.
Qed.

Theorem C09_averaged : forall th v, in_C P th ->
  exp (- (diameter P * radius P)) * fisher_form P (center P) v <= fisher_form P th v.
Proof.
  intros th v [Hth _]; unfold fisher_form; rewrite <- Sum_scal; apply Sum_le; intros x Hx.
  replace (exp (- (diameter P * radius P)) * (weight P x * fisher (prompt_at P x) (logit P (center P) x) (logit P v x)))
    with (weight P x * (exp (- (diameter P * radius P)) * fisher (prompt_at P x) (logit P (center P) x) (logit P v x))) by ring.
  apply Rmult_le_compat_l; [left; now apply weight_pos|].
  apply C09; [now apply prompt_valid|]. intros j l Hj Hl.
  replace (logit P th x j - logit P (center P) x j - (logit P th x l - logit P (center P) x l))
    with (logit P (vsub th (center P)) x j - logit P (vsub th (center P)) x l) by (rewrite !logit_sub; ring).
  eapply Rle_trans; [apply (logit_range _ x j l Hx Hj Hl)|]. rewrite Rmult_comm.
  apply Rmult_le_compat_l; [apply over_pairs_nonneg|]. apply norm_le; auto. apply (radius_nonneg P VP).
Qed.

(** The Fisher form at any theta is positive definite on S: from the data, not assumed. *)
Theorem fisher_form_definite : forall th, exists lam, 0 < lam /\
  forall v, in_S P v -> lam * norm2 d v <= fisher_form P th v.
Proof.
  intros th. apply span_floor; [apply fisher_form_nonneg|].
  intros g Hg. destruct (differences_in g Hg) as [x [k [l [Hx [Hk [Hl ->]]]]]].
  set (Q := prompt_at P x). pose proof (prompt_valid P VP x Hx) as VQ. fold Q in VQ.
  set (w := weight P x * (pi Q (logit P th x) k * pi Q (logit P th x) l)).
  assert (W : 0 < w).
  { apply Rmult_lt_0_compat; [now apply weight_pos|]. apply Rmult_lt_0_compat; apply pi_pos; auto. }
  exists (2 / w); split; [left; apply Rdiv_lt_0_compat; lra|]. intros v.
  rewrite <- logit_difference.
  pose proof (fisher_sees Q VQ (logit P th x) (logit P v x) k l Hk Hl) as S.
  assert (T : weight P x * fisher Q (logit P th x) (logit P v x) <= fisher_form P th v).
  { apply (Sum_term_le n (fun x => weight P x * fisher (prompt_at P x) (logit P th x) (logit P v x))); auto.
    intros y Hy; apply Rmult_le_pos; [left; now apply weight_pos|apply fisher_nonneg, prompt_valid; auto]. }
  apply Rmult_le_reg_l with (w / 2); [lra|].
  replace (w / 2 * (2 / w * fisher_form P th v)) with (fisher_form P th v) by (field; lra).
  apply Rmult_le_compat_l with (r := weight P x) in S; [|left; now apply weight_pos].
  unfold w in *; lra.
Qed.

(** lambda_min is the least eigenvalue of F(c) on S: positive when S is not {0}, the best constant. *)
Theorem lambda_min_spec : (exists v, in_S P v /\ 0 < norm2 d v) ->
  0 < lambda_min P /\
  (forall v, in_S P v -> lambda_min P * norm2 d v <= fisher_form P (center P) v) /\
  (forall l, (forall v, in_S P v -> l * norm2 d v <= fisher_form P (center P) v) -> l <= lambda_min P).
Proof.
  intros [w [Sw Nw]]. unfold lambda_min.
  set (E := fun l => forall v, in_S P v -> l * norm2 d v <= fisher_form P (center P) v).
  destruct (fisher_form_definite (center P)) as [l0 [l0p Hl0]].
  destruct (Lub_Rbar_correct E) as [U L].
  pose proof (U l0 Hl0) as U0.
  assert (B : Rbar_le (Lub_Rbar E) (fisher_form P (center P) w / norm2 d w)).
  { apply L; intros l Hl. simpl. pose proof (Hl w Sw). apply Rmult_le_reg_r with (norm2 d w); [auto|].
    replace (fisher_form P (center P) w / norm2 d w * norm2 d w) with (fisher_form P (center P) w) by (field; lra). auto. }
  destruct (Lub_Rbar E) as [s| |] eqn:Es; simpl in U0, B |- *; try contradiction.
  split; [lra|split].
  - intros v Hv. pose proof (norm2_nonneg d v) as [N|N]; [|rewrite <- N, Rmult_0_r; apply fisher_form_nonneg].
    assert (B2 : Rbar_le s (fisher_form P (center P) v / norm2 d v)).
    { apply L; intros l Hl. simpl. pose proof (Hl v Hv). apply Rmult_le_reg_r with (norm2 d v); [auto|].
      replace (fisher_form P (center P) v / norm2 d v * norm2 d v) with (fisher_form P (center P) v) by (field; lra). auto. }
    simpl in B2. apply Rmult_le_compat_r with (r := norm2 d v) in B2; [|lra].
    replace (fisher_form P (center P) v / norm2 d v * norm2 d v) with (fisher_form P (center P) v) in B2 by (field; lra). auto.
  - intros l Hl. apply (U l Hl).
Qed.

(** On S = {0} C is one point, as far as any policy can tell. *)
Lemma S_trivial_one_point : S_trivial -> forall a b, in_C P a -> in_C P b -> same d a b.
Proof.
  intros T a b Ha Hb i Hi. pose proof (T _ (in_C_difference a b Ha Hb) i Hi) as H. unfold vsub in H; lra.
Qed.
End Problem.
