(** Vectors of R^d as functions nat -> R read on {0, ..., d-1}; the span of a list of vectors.

    The span is shown to be closed and to be an orthogonal summand (Gram-Schmidt), and a form that
    sees every generator is bounded below on it: this is why the least eigenvalue on S is positive. *)
Require Import Reals Lra Lia Psatz List.
From Coquelicot Require Import Coquelicot.
From Sail Require Import Sums.
Open Scope R_scope.

Notation vec := (nat -> R).

Section Vectors.
Variable d : nat.

Definition dot (a b : vec) : R := Sum d (fun i => a i * b i).
Definition norm2 (a : vec) : R := dot a a.
Definition vsub (a b : vec) : vec := fun i => a i - b i.
Definition vadd (a b : vec) : vec := fun i => a i + b i.
Definition vscal (c : R) (a : vec) : vec := fun i => c * a i.
(** a + t (b - a), and a + t v *)
Definition step (a b : vec) (t : R) : vec := fun i => a i + t * (b i - a i).
Definition ray (a v : vec) (t : R) : vec := fun i => a i + t * v i.
(** Equality of vectors is equality of their d coordinates. *)
Definition same (a b : vec) : Prop := forall i, (i < d)%nat -> a i = b i.

Lemma dot_ext : forall a a' b b', same a a' -> same b b' -> dot a b = dot a' b'.
Proof. intros; apply Sum_ext; intros; rewrite H, H0; auto. Qed.

Lemma dot_comm : forall a b, dot a b = dot b a.
Proof. intros; apply Sum_ext; intros; ring. Qed.

Lemma dot_add_l : forall a b c, dot (vadd a b) c = dot a c + dot b c.
Proof. intros; unfold dot, vadd; rewrite <- Sum_plus; apply Sum_ext; intros; ring. Qed.

Lemma dot_scal_l : forall t a b, dot (vscal t a) b = t * dot a b.
Proof. intros; unfold dot, vscal; rewrite <- Sum_scal; apply Sum_ext; intros; ring. Qed.

Lemma dot_sub_l : forall a b c, dot (vsub a b) c = dot a c - dot b c.
Proof. intros; unfold dot, vsub; rewrite <- Sum_minus; apply Sum_ext; intros; ring. Qed.

Lemma dot_add_r : forall a b c, dot c (vadd a b) = dot c a + dot c b.
Proof. intros; rewrite dot_comm, dot_add_l, !(dot_comm c); ring. Qed.

Lemma dot_scal_r : forall t a b, dot a (vscal t b) = t * dot a b.
Proof. intros; rewrite dot_comm, dot_scal_l, (dot_comm b); ring. Qed.

Lemma dot_sub_r : forall a b c, dot c (vsub a b) = dot c a - dot c b.
Proof. intros; rewrite dot_comm, dot_sub_l, !(dot_comm c); ring. Qed.

Lemma norm2_nonneg : forall a, 0 <= norm2 a.
Proof. intros; apply Sum_nonneg; intros; pose proof (pow2_ge_0 (a k)); nra. Qed.

Lemma norm2_zero : forall a, norm2 a = 0 -> forall i, (i < d)%nat -> a i = 0.
Proof.
  intros a H i Hi.
  assert (T : a i * a i <= norm2 a)
    by (apply (Sum_term_le d (fun i => a i * a i)); auto; intros; pose proof (pow2_ge_0 (a k)); nra).
  rewrite H in T. pose proof (pow2_ge_0 (a i)). nra.
Qed.

Lemma norm2_coordinate : forall a i, (i < d)%nat -> (a i)^2 <= norm2 a.
Proof.
  intros a i Hi. replace ((a i)^2) with (a i * a i) by ring.
  apply (Sum_term_le d (fun i => a i * a i)); auto; intros; pose proof (pow2_ge_0 (a k)); nra.
Qed.

Lemma norm2_le : forall a c, 0 <= c -> (forall i, (i < d)%nat -> (a i)^2 <= c) -> norm2 a <= INR d * c.
Proof.
  intros a c Hc H. apply Rle_trans with (Sum d (fun _ => c)).
  - apply Sum_le; intros; replace (a k * a k) with ((a k)^2) by ring; auto.
  - apply Req_le. clear. induction d as [|k IH]; [simpl; ring|].
    change (Sum k (fun _ => c) + c = INR (S k) * c). rewrite IH, S_INR; ring.
Qed.

Lemma norm2_vsub_sym : forall a b, norm2 (vsub a b) = norm2 (vsub b a).
Proof. intros; unfold norm2, dot, vsub; apply Sum_ext; intros; ring. Qed.

Lemma dot_cs : forall a b, (dot a b)^2 <= norm2 a * norm2 b.
Proof.
  intros; unfold norm2, dot.
  replace (Sum d (fun i => a i * a i)) with (Sum d (fun i => a i ^ 2)) by (apply Sum_ext; intros; ring).
  replace (Sum d (fun i => b i * b i)) with (Sum d (fun i => b i ^ 2)) by (apply Sum_ext; intros; ring).
  apply Sum_cs.
Qed.

Lemma young : forall a b mu, 0 < mu -> dot a b - mu / 2 * norm2 b <= norm2 a / (2 * mu).
Proof.
  intros a b mu H.
  assert (Q : 0 <= norm2 (vsub a (vscal mu b))) by apply norm2_nonneg.
  assert (Ex : norm2 (vsub a (vscal mu b)) = norm2 a - 2 * mu * dot a b + mu^2 * norm2 b).
  { unfold norm2, dot, vsub, vscal; rewrite <- !Sum_scal, <- Sum_minus, <- Sum_plus; apply Sum_ext; intros; ring. }
  rewrite Ex in Q.
  apply Rmult_le_reg_l with (2 * mu); [lra|].
  replace (2 * mu * (norm2 a / (2 * mu))) with (norm2 a) by (field; lra). lra.
Qed.

(** The triangle inequality, squared: |a + b| <= r + s when |a| <= r and |b| <= s. *)
Lemma norm2_add_le : forall a b r s, 0 <= r -> 0 <= s ->
  norm2 a <= r^2 -> norm2 b <= s^2 -> norm2 (vadd a b) <= (r + s)^2.
Proof.
  intros a b r s Hr Hs Ha Hb.
  assert (Ex : norm2 (vadd a b) = norm2 a + 2 * dot a b + norm2 b).
  { unfold norm2, dot, vadd; rewrite <- !Sum_scal, <- !Sum_plus; apply Sum_ext; intros; ring. }
  pose proof (dot_cs a b) as CS. pose proof (norm2_nonneg a). pose proof (norm2_nonneg b).
  assert ((dot a b)^2 <= (r * s)^2).
  { eapply Rle_trans; [exact CS|]. replace ((r * s)^2) with (r^2 * s^2) by ring. apply Rmult_le_compat; auto. }
  assert (0 <= r * s) by (apply Rmult_le_pos; auto).
  assert (dot a b <= r * s) by nra. rewrite Ex; nra.
Qed.

Lemma dot_step : forall g a b t, dot g (vsub (step a b t) a) = t * dot g (vsub b a).
Proof. intros; unfold dot, vsub, step; rewrite <- Sum_scal; apply Sum_ext; intros; ring. Qed.

Lemma norm2_step : forall a b t, norm2 (vsub (step a b t) a) = t^2 * norm2 (vsub b a).
Proof. intros; unfold norm2, dot, vsub, step; rewrite <- Sum_scal; apply Sum_ext; intros; ring. Qed.

Definition closed (C : vec -> Prop) : Prop :=
  forall x, (forall e, 0 < e -> exists a, C a /\ norm2 (vsub x a) <= e) -> C x.
Definition convex (C : vec -> Prop) : Prop :=
  forall a b t, C a -> C b -> 0 <= t <= 1 -> C (step a b t).

(** * The span of a list of vectors *)
Fixpoint span (gs : list vec) (v : vec) : Prop :=
  match gs with
  | nil => same v (fun _ => 0)
  | g :: rest => exists a, span rest (vsub v (vscal a g))
  end.

Lemma span_ext : forall gs v w, same v w -> span gs v -> span gs w.
Proof.
  induction gs as [|g gs IH]; intros v w E H; simpl in *.
  - intros i Hi; rewrite <- E; auto.
  - destruct H as [a H]; exists a; apply (IH (vsub v (vscal a g))); auto.
    intros i Hi; unfold vsub, vscal; rewrite E; auto.
Qed.

Lemma span_combine : forall gs a b u w, span gs u -> span gs w -> span gs (fun i => a * u i + b * w i).
Proof.
  induction gs as [|g gs IH]; intros a b u w Hu Hw; simpl in *.
  - intros i Hi; rewrite Hu, Hw; auto; ring.
  - destruct Hu as [s Hu], Hw as [t Hw]; exists (a * s + b * t).
    apply (span_ext _ (fun i => a * vsub u (vscal s g) i + b * vsub w (vscal t g) i)); [|now apply IH].
    intros i Hi; unfold vsub, vscal; ring.
Qed.

Lemma span_zero : forall gs v, same v (fun _ => 0) -> span gs v.
Proof.
  induction gs as [|g gs IH]; intros v H; simpl; [exact H|].
  exists 0; apply IH; intros i Hi; unfold vsub, vscal; rewrite H; auto; ring.
Qed.

Lemma span_sub : forall gs u w, span gs u -> span gs w -> span gs (vsub u w).
Proof.
  intros gs u w Hu Hw; apply (span_ext _ (fun i => 1 * u i + (-1) * w i)); [|now apply span_combine].
  intros i Hi; unfold vsub; ring.
Qed.

Lemma span_cons : forall gs g v, span gs v -> span (g :: gs) v.
Proof.
  intros gs g v H; exists 0; apply (span_ext _ v); auto. intros i Hi; unfold vsub, vscal; ring.
Qed.

Lemma span_in : forall gs g, In g gs -> span gs g.
Proof.
  induction gs as [|h gs IH]; intros g H; [destruct H|]; destruct H as [->|H].
  - exists 1; apply span_zero; intros i Hi; unfold vsub, vscal; ring.
  - now apply span_cons, IH.
Qed.

(** The span is the least subspace that contains the generators. *)
Lemma span_least : forall (T : vec -> Prop), (forall u v, same u v -> T u -> T v) ->
  T (fun _ => 0) -> (forall a u w, T u -> T w -> T (fun i => u i + a * w i)) ->
  forall gs, (forall g, In g gs -> T g) -> forall v, span gs v -> T v.
Proof.
  intros T TE T0 TL; induction gs as [|g gs IH]; intros G v H; simpl in *.
  - apply (TE (fun _ => 0)); auto. intros i Hi; rewrite H; auto.
  - destruct H as [a H].
    apply (TE (fun i => vsub v (vscal a g) i + a * g i)).
    + intros i Hi; unfold vsub, vscal; ring.
    + apply TL; [apply IH; auto|auto].
Qed.

(** What is orthogonal to the generators is orthogonal to the span. *)
Lemma span_orthogonal : forall gs w, (forall g, In g gs -> dot w g = 0) -> forall v, span gs v -> dot w v = 0.
Proof.
  intros gs w H v Hv. revert v Hv; apply (span_least (fun v => dot w v = 0)).
  - intros u v E Hu; rewrite <- Hu; apply dot_ext; intros i Hi; [reflexivity|symmetry; auto].
  - unfold dot; rewrite (Sum_ext d _ (fun _ => 0)); [apply Sum_0|intros; ring].
  - intros a u v Hu Hv. change (dot w (vadd u (vscal a v)) = 0). rewrite dot_add_r, dot_scal_r, Hu, Hv; ring.
  - exact H.
Qed.

(** Gram-Schmidt: every vector is a sum of one in the span and one orthogonal to it. *)
Lemma span_split : forall gs v, exists s w,
  span gs s /\ same v (vadd s w) /\ forall g, In g gs -> dot w g = 0.
Proof.
  induction gs as [|g gs IH]; intros v.
  - exists (fun _ => 0), v; split; [now intros i Hi|split]; [|intros g []].
    intros i Hi; unfold vadd; ring.
  - destruct (IH v) as [s [w [Hs [E O]]]], (IH g) as [s' [w' [Hs' [E' O']]]].
    destruct (Req_dec (norm2 w') 0) as [N|N].
    + exists s, w; split; [now apply span_cons|split; [exact E|]].
      intros h [<-|Hh]; [|now apply O].
      rewrite (dot_ext w w g s'); [now apply (span_orthogonal gs)|now intros i Hi|].
      intros i Hi; rewrite E' by auto; unfold vadd; rewrite (norm2_zero w' N i Hi); ring.
    + set (a := dot w w' / norm2 w').
      exists (vadd s (vscal a w')), (vsub w (vscal a w')); split; [|split].
      * exists a. apply (span_ext _ (fun i => 1 * s i + (- a) * s' i)); [|now apply span_combine].
        intros i Hi; unfold vsub, vadd, vscal; rewrite (E' i Hi); unfold vadd; ring.
      * intros i Hi; rewrite E by auto; unfold vadd, vsub, vscal; ring.
      * assert (Ow : dot (vsub w (vscal a w')) w' = 0).
        { rewrite dot_sub_l, dot_scal_l. unfold a; fold (norm2 w'). field; auto. }
        assert (Og : forall h, In h gs -> dot (vsub w (vscal a w')) h = 0).
        { intros h Hh; rewrite dot_sub_l, dot_scal_l, (O h Hh), (O' h Hh); ring. }
        intros h [<-|Hh]; [|now apply Og].
        rewrite (dot_ext _ (vsub w (vscal a w')) g (vadd s' w')); [|now intros i Hi|exact E'].
        rewrite dot_add_r, Ow, (span_orthogonal gs _ Og s' Hs'); ring.
Qed.

Lemma span_closed : forall gs, closed (span gs).
Proof.
  intros gs x H. destruct (span_split gs x) as [s [w [Hs [E O]]]].
  assert (W : norm2 w = 0).
  { destruct (Req_dec (norm2 w) 0) as [|N]; [assumption|exfalso].
    assert (P : 0 < norm2 w) by (pose proof (norm2_nonneg w); lra).
    destruct (H (norm2 w / 2)) as [a [Ha Na]]; [lra|].
    pose proof (dot_cs w (vsub x a)) as CS.
    assert (D : dot w (vsub x a) = norm2 w).
    { rewrite dot_sub_r, (span_orthogonal gs w O a Ha), (dot_ext w w x (vadd s w)); [|now intros i Hi|exact E].
      rewrite dot_add_r, (span_orthogonal gs w O s Hs); unfold norm2; ring. }
    rewrite D in CS. nra. }
  apply (span_ext _ s); auto. intros i Hi; rewrite E by auto; unfold vadd; rewrite (norm2_zero w W i Hi); ring.
Qed.

Fixpoint seen (gs : list vec) (v : vec) : R :=
  match gs with nil => 0 | g :: rest => (dot v g)^2 + seen rest v end.

Lemma seen_nonneg : forall gs v, 0 <= seen gs v.
Proof. induction gs; intros; simpl; [lra|]. pose proof (pow2_ge_0 (dot v a)). pose proof (IHgs v). lra. Qed.

Lemma seen_ext : forall gs v w, (forall g, In g gs -> dot v g = dot w g) -> seen gs v = seen gs w.
Proof.
  induction gs as [|g gs IH]; intros v w H; simpl; [reflexivity|].
  rewrite (H g), (IH v w); auto; [intros; apply H; now right|now left].
Qed.

(** On the span, the length of v is controlled by its products with the generators. *)
Lemma span_coercive : forall gs, exists c, 0 < c /\ forall v, span gs v -> norm2 v <= c * seen gs v.
Proof.
  induction gs as [|g gs [c [Hc IH]]].
  - exists 1; split; [lra|]; intros v H; simpl in *.
    assert (N : norm2 v = 0); [|lra].
    unfold norm2, dot; rewrite (Sum_ext d _ (fun _ => 0)); [apply Sum_0|intros; rewrite H; auto; ring].
  - destruct (span_split gs g) as [s' [w' [Hs' [E' O']]]].
    destruct (Req_dec (norm2 w') 0) as [N|N].
    + exists c; split; [auto|]; intros v [a Hv]. simpl.
      assert (Sv : span gs v).
      { apply (span_ext _ (fun i => 1 * vsub v (vscal a g) i + a * s' i)); [|now apply span_combine].
        intros i Hi; unfold vsub, vscal; rewrite (E' i Hi); unfold vadd; rewrite (norm2_zero w' N i Hi); ring. }
      pose proof (IH v Sv). pose proof (pow2_ge_0 (dot v g)).
      assert (0 <= c * (dot v g)^2) by (apply Rmult_le_pos; lra). lra.
    + assert (P : 0 < norm2 w') by (pose proof (norm2_nonneg w'); lra).
      pose proof (norm2_nonneg s') as Ns'. set (W := norm2 w') in *. set (N' := norm2 s') in *.
      exists (c + 2 / W + 2 * N' * c / W). split.
      { assert (0 < 2 / W) by (apply Rdiv_lt_0_compat; lra).
        assert (0 <= 2 * N' * c / W) by (apply Rmult_le_pos; [nra|left; now apply Rinv_0_lt_compat]). lra. }
      intros v [a Hv]. simpl.
      set (s := fun i => 1 * vsub v (vscal a g) i + a * s' i).
      assert (Ss : span gs s) by now apply span_combine.
      assert (Ev : same v (vadd s (vscal a w'))).
      { intros i Hi; unfold s, vadd, vsub, vscal; rewrite (E' i Hi); unfold vadd; ring. }
      assert (Os : dot s w' = 0) by (rewrite dot_comm; now apply (span_orthogonal gs)).
      assert (Q : seen gs v = seen gs s).
      { apply seen_ext; intros h Hh. rewrite (dot_ext v (vadd s (vscal a w')) h h); [|exact Ev|now intros i Hi].
        rewrite dot_add_l, dot_scal_l, (O' h Hh); ring. }
      assert (Vn : norm2 v = norm2 s + a^2 * W).
      { unfold norm2; rewrite (dot_ext v (vadd s (vscal a w')) v (vadd s (vscal a w'))); auto.
        rewrite dot_add_l, !dot_add_r, !dot_scal_l, !dot_scal_r, (dot_comm w' s), Os; unfold W, norm2; ring. }
      assert (Vg : dot v g = dot s s' + a * W).
      { rewrite (dot_ext v (vadd s (vscal a w')) g (vadd s' w')); auto.
        rewrite dot_add_l, !dot_add_r, !dot_scal_l, (dot_comm w' s').
        rewrite (dot_comm s' w'), (span_orthogonal gs w' O' s' Hs'), Os; unfold W, norm2; ring. }
      pose proof (IH s Ss) as Is. pose proof (dot_cs s s') as CS. fold N' in CS.
      rewrite Q, Vn, Vg. set (q := seen gs s) in *. set (e := dot s s') in *.
      assert (q0 : 0 <= q) by apply seen_nonneg.
      assert (CS2 : e^2 <= c * q * N') by (eapply Rle_trans; [exact CS|apply Rmult_le_compat_r; auto]).
      assert (A : a^2 * W <= 2 / W * (e + a * W)^2 + 2 * N' * c / W * q).
      { apply Rmult_le_reg_l with W; [auto|].
        replace (W * (2 / W * (e + a * W)^2 + 2 * N' * c / W * q)) with (2 * (e + a * W)^2 + 2 * (c * q * N')) by (field; lra).
        pose proof (pow2_ge_0 (2 * e + a * W)). nra. }
      assert (0 <= 2 / W * q) by (apply Rmult_le_pos; auto; left; apply Rdiv_lt_0_compat; lra).
      assert (0 <= (c + 2 * N' * c / W) * (e + a * W)^2).
      { apply Rmult_le_pos; [|apply pow2_ge_0].
        assert (0 <= 2 * N' * c / W) by (apply Rmult_le_pos; [nra|left; now apply Rinv_0_lt_compat]). lra. }
      lra.
Qed.

(** A form that sees every generator is bounded below on the span. *)
Lemma span_floor : forall gs (F : vec -> R), (forall v, 0 <= F v) ->
  (forall g, In g gs -> exists M, 0 <= M /\ forall v, (dot v g)^2 <= M * F v) ->
  exists lam, 0 < lam /\ forall v, span gs v -> lam * norm2 v <= F v.
Proof.
  intros gs F F0 H.
  assert (A : exists M, 0 <= M /\ forall v, seen gs v <= M * F v).
  { induction gs as [|g gs IH]; simpl.
    - exists 0; split; [lra|intros; lra].
    - destruct IH as [M [M0 HM]]; [intros; apply H; now right|].
      destruct (H g) as [N [N0 HN]]; [now left|].
      exists (N + M); split; [lra|]; intros v. pose proof (HM v). pose proof (HN v). lra. }
  destruct A as [M [M0 HM]], (span_coercive gs) as [c [c0 Hc]].
  assert (P : 0 < c * M + 1) by nra.
  exists (/ (c * M + 1)); split; [now apply Rinv_0_lt_compat|]; intros v Hv.
  apply Rmult_le_reg_l with (c * M + 1); [auto|].
  rewrite <- Rmult_assoc, Rinv_r, Rmult_1_l by lra.
  pose proof (Hc v Hv). pose proof (HM v). pose proof (F0 v).
  assert (c * seen gs v <= c * (M * F v)) by (apply Rmult_le_compat_l; lra). lra.
Qed.
End Vectors.
