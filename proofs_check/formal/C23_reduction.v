(** C23, C24. Reduction to single prompts. If g bounds the curvature of every prompt relative to its own Fisher
    form on the ball of radius B in c + S_x, S_x the span of that prompt's differences, then g bounds it on C for
    the average. Conversely, where S_x meets the span of the other prompts' differences in 0 only, a bound on C
    for the average is a bound for prompt x: the reduction is exact there. *)
Require Import Reals Lra Lia Psatz List FunctionalExtensionality.
From Coquelicot Require Import Coquelicot.
From Sail Require Import Sums Vectors Sigmoid Prompt Derivatives C01_gradient C02_hessian C07_kl_hessian Problem Objectives C12_strong_concavity.
Open Scope R_scope.

(** Logits matter up to a constant. *)
Section Invariance.
Variable Q : prompt.
Hypothesis VQ : valid_prompt Q.
Notation m := (responses Q).
Definition shifted_by (s : R) (a a' : nat -> R) : Prop := forall k, (k < m)%nat -> a' k = a k + s.

Lemma pi_shift : forall s a a', shifted_by s a a' -> forall k, (k < m)%nat -> pi Q a' k = pi Q a k.
Proof.
  intros s a a' H k Hk; unfold pi.
  assert (Z : partition Q a' = exp s * partition Q a).
  { unfold partition; rewrite <- Sum_scal; apply Sum_ext; intros j Hj; rewrite (H j Hj), exp_plus; ring. }
  rewrite Z, (H k Hk), exp_plus. pose proof (partition_pos Q VQ a). pose proof (exp_pos s). field; lra.
Qed.

Lemma E_shift : forall s a a', shifted_by s a a' -> forall f, E Q a' f = E Q a f.
Proof. intros s a a' H f; apply Sum_ext; intros k Hk; rewrite (pi_shift s a a' H k Hk); reflexivity. Qed.

Lemma score_shift : forall s a a' t b b', shifted_by s a a' -> shifted_by t b b' ->
  forall k, (k < m)%nat -> score Q a' b' k = score Q a b k.
Proof.
  intros s a a' t b b' H G k Hk; unfold score. rewrite (E_shift s a a' H), (G k Hk).
  rewrite (E_ext Q a b' (fun k => b k + t) G), E_plus, (E_const Q VQ); ring.
Qed.

Lemma fisher_shift : forall s a a' t b b', shifted_by s a a' -> shifted_by t b b' -> fisher Q a' b' = fisher Q a b.
Proof.
  intros s a a' t b b' H G; unfold fisher; rewrite (E_shift s a a' H).
  apply E_ext; intros k Hk; rewrite (score_shift s a a' t b b' H G k Hk); reflexivity.
Qed.

Lemma E2_shift : forall s a a', shifted_by s a a' -> forall f, E2 Q a' f = E2 Q a f.
Proof. intros s a a' H f; unfold E2; rewrite (E_shift s a a' H); apply E_ext; intros; apply (E_shift s a a' H). Qed.

Lemma margin_shift : forall s a a', shifted_by s a a' -> forall k l, (k < m)%nat -> (l < m)%nat -> margin Q a' k l = margin Q a k l.
Proof. intros s a a' H k l Hk Hl; unfold margin; rewrite !H by auto; ring. Qed.

Lemma J''_shift : forall s a a' t b b', shifted_by s a a' -> shifted_by t b b' -> J'' Q b' b' a' = J'' Q b b a.
Proof.
  intros s a a' t b b' H G; unfold J''.
  assert (EJ : J Q a' = J Q a).
  { unfold J, value; rewrite (E2_shift s a a' H); apply E2_ext; intros k l Hk Hl; unfold payoff; rewrite !(margin_shift s a a' H) by auto; reflexivity. }
  rewrite EJ, !fisher2_diag, (fisher_shift s a a' t b b' H G), (E2_shift s a a' H). f_equal.
  apply E2_ext; intros k l Hk Hl; unfold payoff, u, plus_score, minus_score.
  rewrite !(margin_shift s a a' H), !(score_shift s a a' t b b' H G) by auto. rewrite !G by auto. ring.
Qed.
End Invariance.

Section Reduction.
Variable P : problem.
Hypothesis VP : valid P.
Notation d := (dim P). Notation n := (prompts P).

Definition differences_of (x : nat) : list vec :=
  flat_map (fun k => map (difference P x k) (seq 0 (size P x))) (seq 0 (size P x)).
Definition in_S_of (x : nat) (v : vec) : Prop := span d (differences_of x) v.
Definition in_C_of (x : nat) (th : vec) : Prop :=
  norm2 d (vsub th (center P)) <= (radius P)^2 /\ in_S_of x (vsub th (center P)).

Lemma differences_of_spec : forall x g, In g (differences_of x) <->
  exists k l, (k < size P x)%nat /\ (l < size P x)%nat /\ g = difference P x k l.
Proof.
  intros x g; unfold differences_of; rewrite in_flat_map; split.
  - intros [k [Hk H]]. apply in_map_iff in H; destruct H as [l [<- Hl]]. apply in_seq in Hk; apply in_seq in Hl.
    exists k, l; repeat split; lia.
  - intros [k [l [Hk [Hl ->]]]]. exists k; split; [apply in_seq; lia|]. apply in_map, in_seq; lia.
Qed.

(** What is orthogonal to the differences of x moves its logits by a constant. *)
Lemma logit_split : forall x v s w, same d v (vadd s w) -> (forall g, In g (differences_of x) -> dot d w g = 0) ->
  (0 < size P x)%nat -> shifted_by (prompt_at P x) (logit P w x O) (logit P s x) (logit P v x).
Proof.
  intros x v s w E Or M k Hk; simpl in Hk.
  assert (W : dot d w (difference P x k O) = 0) by (apply Or, differences_of_spec; exists k, O; repeat split; lia).
  rewrite <- logit_difference in W. unfold logit at 1.
  rewrite (dot_ext d v (vadd s w) (feature P x k) (feature P x k) E (fun i _ => eq_refl)), dot_add_l.
  fold (logit P s x k) (logit P w x k). lra.
Qed.

Variable g : R.
Hypothesis each : forall x th v, (x < n)%nat -> in_C_of x th -> in_S_of x v ->
  J'' (prompt_at P x) (logit P v x) (logit P v x) (logit P th x) <= g * fisher (prompt_at P x) (logit P th x) (logit P v x).

Theorem C23 : forall th v, in_C P th -> curvature P (sail P) th v v <= g * fisher_form P th v.
Proof.
  intros th v [Hth _]; unfold curvature, fisher_form; rewrite <- Sum_scal; apply Sum_le; intros x Hx; simpl.
  pose proof (prompt_valid P VP x Hx) as VQ. pose proof (some_response _ VQ) as M; simpl in M.
  destruct (span_split d (differences_of x) (vsub th (center P))) as [s [w [Hs [E Or]]]].
  destruct (span_split d (differences_of x) v) as [sv [wv [Hsv [Ev Ov]]]].
  set (th' := vadd (center P) s).
  assert (N : norm2 d s <= (radius P)^2).
  { assert (Z : dot d s w = 0) by (rewrite dot_comm; now apply (span_orthogonal d (differences_of x))).
    assert (X : norm2 d (vsub th (center P)) = norm2 d s + norm2 d w).
    { unfold norm2; rewrite (dot_ext d _ (vadd s w) _ (vadd s w) E E), dot_add_l, !dot_add_r, (dot_comm d w s), Z; ring. }
    pose proof (norm2_nonneg d w). lra. }
  assert (S1 : same d (vsub th' (center P)) s) by (intros i Hi; unfold th', vsub, vadd; ring).
  assert (Hth' : in_C_of x th').
  { split.
    - unfold norm2 in *; rewrite (dot_ext d _ s _ s S1 S1); exact N.
    - apply (span_ext d _ s); auto. intros i Hi; symmetry; auto. }
  assert (E' : same d th (vadd th' w)).
  { intros i Hi. pose proof (E i Hi) as H; unfold vsub, vadd in H. unfold th', vadd. lra. }
  pose proof (logit_split x th th' w E' Or M) as Sh. pose proof (logit_split x v sv wv Ev Ov M) as Shv.
  rewrite (J''_shift _ VQ _ _ _ _ _ _ Sh Shv), (fisher_shift _ VQ _ _ _ _ _ _ Sh Shv).
  pose proof (each x th' sv Hx Hth' Hsv). pose proof (weight_pos P VP x Hx).
  replace (g * (weight P x * fisher (prompt_at P x) (logit P th' x) (logit P sv x)))
    with (weight P x * (g * fisher (prompt_at P x) (logit P th' x) (logit P sv x))) by ring.
  apply Rmult_le_compat_l; lra.
Qed.
End Reduction.

(** A vector of the span with given products on one list and none on the other: Riesz's vector. *)
Lemma dual_vector : forall d gs hs, (forall v, span d gs v -> span d hs v -> same d v (fun _ => 0)) -> forall v,
  exists w, span d (gs ++ hs) w /\ (forall g, In g gs -> dot d w g = dot d v g) /\ (forall h, In h hs -> dot d w h = 0).
Proof.
  intros d gs hs; induction gs as [|g gs IH]; intros Meet v.
  - exists (fun _ => 0); split; [apply span_zero; now intros i Hi|split].
    + intros g [].
    + intros h Hh; unfold dot; rewrite (Sum_ext d _ (fun _ => 0)); [apply Sum_0|intros; ring].
  - destruct (IH) with (v := v) as [w0 [Sw [Gw Hw]]].
    { intros u Hu Hu'; apply Meet; auto. now apply span_cons. }
    destruct (span_split d (gs ++ hs) g) as [s [r [Hs [E O]]]].
    destruct (Req_dec (norm2 d r) 0) as [N|N].
    + exists w0; split; [now apply span_cons|split; auto]. intros g' [<-|Hg']; auto.
      (* g lies in span (gs ++ hs) = span gs + span hs, hence in span gs *)
      assert (Split : forall u, span d (gs ++ hs) u -> exists a b, span d gs a /\ span d hs b /\ same d u (vadd a b)).
      { clear. induction gs as [|k gs IH]; intros u Hu; simpl in *.
        - exists (fun _ => 0), u; split; [now intros i Hi|split; auto]. intros i Hi; unfold vadd; ring.
        - destruct Hu as [c Hu]. destruct (IH _ Hu) as [a [b [Ha [Hb Eu]]]].
          exists (vadd a (vscal c k)), b; split; [|split; auto].
          + exists c; apply (span_ext d _ a); auto. intros i Hi; unfold vsub, vadd, vscal; ring.
          + intros i Hi. pose proof (Eu i Hi) as H; unfold vsub, vadd, vscal in *. lra. }
      destruct (Split s Hs) as [a [b [Ha [Hb Es]]]].
      assert (Eg : same d g (vadd a b)).
      { intros i Hi; rewrite (E i Hi); unfold vadd at 1; rewrite (norm2_zero d r N i Hi), (Es i Hi); ring. }
      assert (B0 : same d b (fun _ => 0)).
      { apply Meet; auto. exists 1. apply (span_ext d _ (fun i => (-1) * a i + 0 * a i)); [|now apply span_combine].
        intros i Hi; unfold vsub, vscal; rewrite (Eg i Hi); unfold vadd; ring. }
      assert (Ga : same d g a) by (intros i Hi; rewrite (Eg i Hi); unfold vadd; rewrite (B0 i Hi); ring).
      assert (Z : dot d (vsub w0 v) a = 0).
      { apply (span_orthogonal d gs); auto. intros g' Hg'; rewrite dot_sub_l, (Gw g' Hg'); ring. }
      rewrite dot_sub_l in Z. rewrite (dot_ext d w0 w0 g a (fun i _ => eq_refl) Ga), (dot_ext d v v g a (fun i _ => eq_refl) Ga). lra.
    + set (c := (dot d v g - dot d w0 g) / norm2 d r).
      assert (Rg : dot d r g = norm2 d r).
      { rewrite (dot_ext d r r g (vadd s r) (fun i _ => eq_refl) E), dot_add_r, (span_orthogonal d (gs ++ hs) r O s Hs); unfold norm2; ring. }
      exists (vadd w0 (vscal c r)); split; [|split].
      * exists c. apply (span_ext d _ (fun i => 1 * w0 i + (- c) * s i)); [|now apply span_combine].
        intros i Hi; unfold vsub, vadd, vscal; rewrite (E i Hi); unfold vadd; ring.
      * intros g' [<-|Hg'].
        -- rewrite dot_add_l, dot_scal_l, Rg. unfold c; field; auto.
        -- rewrite dot_add_l, dot_scal_l, (Gw g' Hg'), (O g') by (apply in_or_app; now left). ring.
      * intros h Hh. rewrite dot_add_l, dot_scal_l, (Hw h Hh), (O h) by (apply in_or_app; now right). ring.
Qed.

Section Exactness.
Variable P : problem.
Hypothesis VP : valid P.
Notation d := (dim P). Notation n := (prompts P).

(** The differences of the other prompts. *)
Definition other_differences (x : nat) : list vec :=
  flat_map (fun y => if Nat.eqb y x then nil else differences_of P y) (seq 0 n).

Lemma differences_split : forall x, (x < n)%nat ->
  forall v, span d (differences_of P x ++ other_differences x) v -> in_S P v.
Proof.
  intros x Hx. apply (span_least d (in_S P)).
  - intros u v E Hu; now apply (span_ext d _ u).
  - apply span_zero; now intros i Hi.
  - intros a u w Hu Hw. apply (span_ext d _ (fun i => 1 * u i + a * w i)); [intros i Hi; ring|now apply span_combine].
  - intros g Hg; apply in_app_or in Hg; destruct Hg as [Hg|Hg].
    + apply differences_of_spec in Hg; destruct Hg as [k [l [Hk [Hl ->]]]]. now apply span_in, in_differences.
    + unfold other_differences in Hg; apply in_flat_map in Hg; destruct Hg as [y [Hy Hg]]. apply in_seq in Hy.
      destruct (Nat.eqb y x); [destruct Hg|]. apply differences_of_spec in Hg; destruct Hg as [k [l [Hk [Hl ->]]]].
      apply span_in, in_differences; auto; lia.
Qed.

Theorem C24 : forall x g, (x < n)%nat ->
  (forall v, in_S_of P x v -> span d (other_differences x) v -> same d v (fun _ => 0)) ->
  (forall th v, in_C P th -> in_S P v -> curvature P (sail P) th v v <= g * fisher_form P th v) ->
  forall th v, in_C_of P x th -> in_S_of P x v ->
    J'' (prompt_at P x) (logit P v x) (logit P v x) (logit P th x) <= g * fisher (prompt_at P x) (logit P th x) (logit P v x).
Proof.
  intros x g Hx Meet H th v [Hth Sth] Sv.
  assert (Cth : in_C P th).
  { split; auto. apply (differences_split x Hx). clear - Sth. unfold in_S_of in Sth. revert Sth. generalize (vsub th (center P)).
    induction (differences_of P x) as [|g gs IH]; intros u Hu; simpl in *.
    - now apply span_zero.
    - destruct Hu as [a Hu]; exists a; auto. }
  destruct (dual_vector d (differences_of P x) (other_differences x) Meet v) as [w [Sw [Gw Hw]]].
  pose proof (H th w Cth (differences_split x Hx w Sw)) as U. unfold curvature, fisher_form in U; simpl in U.
  (* w acts as v on prompt x, and moves no other policy *)
  assert (Other : forall y, (y < n)%nat -> y <> x ->
    J'' (prompt_at P y) (logit P w y) (logit P w y) (logit P th y) = 0 /\ fisher (prompt_at P y) (logit P th y) (logit P w y) = 0).
  { intros y Hy Ny. pose proof (prompt_valid P VP y Hy) as VQ.
    assert (Sh : shifted_by (prompt_at P y) (logit P w y O) (fun _ => 0) (logit P w y)).
    { intros k Hk; simpl in Hk. pose proof (some_response _ VQ) as M; simpl in M.
      assert (Z : dot d w (difference P y k O) = 0).
      { apply Hw. unfold other_differences; apply in_flat_map; exists y; split; [apply in_seq; lia|].
        apply Nat.eqb_neq in Ny; rewrite Ny. apply differences_of_spec; exists k, O; repeat split; lia. }
      rewrite <- logit_difference in Z. lra. }
    assert (S0 : shifted_by (prompt_at P y) 0 (logit P th y) (logit P th y)) by (intros k Hk; ring).
    rewrite (J''_shift _ VQ _ _ _ _ _ _ S0 Sh), (fisher_shift _ VQ _ _ _ _ _ _ S0 Sh).
    assert (Sc : forall k, score (prompt_at P y) (logit P th y) (fun _ => 0) k = 0) by (intros; unfold score; rewrite (E_const _ VQ); ring).
    assert (F0 : fisher (prompt_at P y) (logit P th y) (fun _ => 0) = 0).
    { unfold fisher; rewrite (E_ext _ _ _ (fun _ => 0)); [apply (E_const _ VQ)|intros; rewrite Sc; ring]. }
    split; [|exact F0]. unfold J''; rewrite fisher2_diag, F0.
    rewrite (E2_ext _ _ _ (fun _ _ => 0)); [rewrite (E2_const _ VQ); ring|].
    intros; unfold plus_score, minus_score; rewrite !Sc; ring. }
  pose proof (prompt_valid P VP x Hx) as VQ.
  assert (Shx : shifted_by (prompt_at P x) (logit P w x O - logit P v x O) (logit P v x) (logit P w x)).
  { intros k Hk; simpl in Hk. pose proof (some_response _ VQ) as M; simpl in M.
    assert (In_ : In (difference P x k O) (differences_of P x)) by (apply differences_of_spec; exists k, O; repeat split; lia).
    pose proof (Gw _ In_) as Z. rewrite <- !logit_difference in Z. lra. }
  assert (S0 : shifted_by (prompt_at P x) 0 (logit P th x) (logit P th x)) by (intros k Hk; ring).
  rewrite <- (J''_shift _ VQ _ _ _ _ _ _ S0 Shx), <- (fisher_shift _ VQ _ _ _ _ _ _ S0 Shx).
  assert (One : forall f : nat -> R, (forall y, (y < n)%nat -> y <> x -> f y = 0) -> Sum n (fun y => weight P y * f y) = weight P x * f x).
  { intros f Hf. clear - Hx Hf. induction n as [|k IH]; [lia|]; simpl. destruct (Nat.eq_dec x k) as [->|Nk].
    - rewrite (Sum_ext k _ (fun _ => 0)), Sum_0; [ring|]. intros y Hy; rewrite Hf by lia; ring.
    - rewrite IH, (Hf k) by (try lia; intros; apply Hf; lia). ring. }
  rewrite (One (fun y => J'' (prompt_at P y) (logit P w y) (logit P w y) (logit P th y)) (fun y Hy Ny => proj1 (Other y Hy Ny))) in U.
  rewrite (One (fun y => fisher (prompt_at P y) (logit P th y) (logit P w y)) (fun y Hy Ny => proj2 (Other y Hy Ny))) in U.
  pose proof (weight_pos P VP x Hx) as Wp.
  apply Rmult_le_reg_l with (weight P x); [auto|]. lra.
Qed.
End Exactness.
