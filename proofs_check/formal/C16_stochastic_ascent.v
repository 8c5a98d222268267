(** C16b. Projected stochastic ascent: half of C16's noise floor suffices.

      E gap_T <= (Lambda/2)(1 - mu/Lambda)^T d_0^2 + V/mu,   T >= 1,   V = sigma^2/N.

    The noise is a finite law that may depend on the point: outcome j < N has probability w th j and
    noise xi th j, with mean 0 and mean square at most V. [expected T phi th] is the expectation of phi
    after T steps from th. Sample spaces that are not finite are left to words. *)
Require Import Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
From Sail Require Import Sums Vectors Ascent.
Open Scope R_scope.

Section C16.
Variable d : nat.
Variable C : vec -> Prop.
Variable f : vec -> R.
Variable grad : vec -> vec.
Variables mu Lam : R.
Notation dot := (dot d). Notation norm2 := (norm2 d).
Hypothesis mu_pos : 0 < mu.
Hypothesis mu_Lam : mu <= Lam.
Hypothesis C_convex : convex C.
Hypothesis C_closed : closed d C.
Hypothesis SC : strongly_concave d C f grad mu.
Hypothesis SM : smooth d C f grad Lam.
Variable best : vec.
Hypothesis Hbest : maximiser C f best.

Variable N : nat.
Variable w : vec -> nat -> R.
Variable xi : vec -> nat -> vec.
Variable V : R.
Hypothesis w_nonneg : forall th j, (j < N)%nat -> 0 <= w th j.
Hypothesis w_sum : forall th, Sum N (w th) = 1.
Hypothesis unbiased : forall th i, (i < d)%nat -> Sum N (fun j => w th j * xi th j i) = 0.
Hypothesis variance : forall th, Sum N (fun j => w th j * norm2 (xi th j)) <= V.

(** next th j projects th + (grad th + xi th j)/Lambda onto C. *)
Variable next : vec -> nat -> vec.
Hypothesis next_in : forall th j, C (next th j).
Hypothesis next_nearest : forall th j q, C q ->
  norm2 (vsub (next th j) (fun i => th i + / Lam * (grad th i + xi th j i)))
    <= norm2 (vsub q (fun i => th i + / Lam * (grad th i + xi th j i))).

Fixpoint expected (T : nat) (phi : vec -> R) (th : vec) : R :=
  match T with O => phi th | S t => Sum N (fun j => w th j * expected t phi (next th j)) end.

Definition energy (th : vec) : R := (f best - f th) + Lam / 2 * norm2 (vsub th best).

(** One outcome: the energy after the step, up to <xi, y - best>. *)
Lemma step_energy : forall th j, C th ->
  energy (next th j) <= (Lam - mu) / 2 * norm2 (vsub th best) + dot (xi th j) (vsub (next th j) best).
Proof.
  intros th j Hth. destruct Hbest as [Cb Mb]. set (y := next th j).
  assert (L0 : 0 < Lam) by lra.
  pose proof (projection_obtuse d C _ y C_convex (next_in th j) (next_nearest th j) best Cb) as O.
  pose proof (SM th y Hth (next_in th j)) as S1. pose proof (SC th best Hth Cb) as S2.
  (* <th + (g + xi)/Lam - y, best - y> <= 0, times Lam *)
  assert (O2 : dot (grad th) (vsub best y) <= Lam * dot (vsub y th) (vsub best y) + dot (xi th j) (vsub y best)).
  { assert (E : Lam * dot (vsub (fun i => th i + / Lam * (grad th i + xi th j i)) y) (vsub best y)
      = dot (grad th) (vsub best y) - dot (xi th j) (vsub y best) - Lam * dot (vsub y th) (vsub best y)).
    { unfold Vectors.dot, vsub; rewrite <- !Sum_scal, <- !Sum_minus; apply Sum_ext; intros; field; lra. }
    assert (Lam * dot (vsub (fun i => th i + / Lam * (grad th i + xi th j i)) y) (vsub best y) <= Lam * 0) by (apply Rmult_le_compat_l; lra).
    lra. }
  assert (E1 : 2 * dot (vsub y th) (vsub best y) = norm2 (vsub th best) - norm2 (vsub y best) - norm2 (vsub y th)).
  { unfold Vectors.norm2, Vectors.dot, vsub; rewrite <- !Sum_scal, <- !Sum_minus; apply Sum_ext; intros; ring. }
  assert (E2 : dot (grad th) (vsub best th) = dot (grad th) (vsub best y) + dot (grad th) (vsub y th)).
  { unfold Vectors.dot, vsub; rewrite <- Sum_plus; apply Sum_ext; intros; ring. }
  assert (E3 : norm2 (vsub best th) = norm2 (vsub th best)) by apply norm2_vsub_sym.
  unfold energy; fold y. rewrite E3 in S2. nra.
Qed.

(** Averaged over the noise: <xi, y - best> costs at most V/Lambda, as a projection is nonexpansive. *)
Lemma noise_cost : forall th, C th -> Sum N (fun j => w th j * dot (xi th j) (vsub (next th j) best)) <= V / Lam.
Proof.
  intros th Hth. destruct Hbest as [Cb _]. assert (L0 : 0 < Lam) by lra.
  destruct (projection_exists d C (fun i => th i + / Lam * grad th i) C_convex C_closed (ex_intro _ best Cb)) as [y0 [Cy0 [P0 _]]].
  assert (near : forall j, dot (xi th j) (vsub (next th j) y0) <= norm2 (xi th j) / Lam).
  { intros j. set (y := next th j).
    pose proof (projection_obtuse d C _ y C_convex (next_in th j) (next_nearest th j) y0 Cy0) as O1.
    pose proof (projection_obtuse d C _ y0 C_convex Cy0 P0 y (next_in th j)) as O2.
    assert (M : Lam * norm2 (vsub y y0) <= dot (xi th j) (vsub y y0)).
    { assert (E : dot (vsub (fun i => th i + / Lam * (grad th i + xi th j i)) y) (vsub y0 y)
          + dot (vsub (fun i => th i + / Lam * grad th i) y0) (vsub y y0)
          = norm2 (vsub y y0) - / Lam * dot (xi th j) (vsub y y0)).
      { unfold Vectors.norm2, Vectors.dot, vsub; rewrite <- !Sum_scal, <- Sum_plus, <- !Sum_minus; apply Sum_ext; intros; ring. }
      assert (norm2 (vsub y y0) <= / Lam * dot (xi th j) (vsub y y0)) by lra.
      apply Rmult_le_compat_l with (r := Lam) in H; [|lra].
      rewrite <- Rmult_assoc, Rinv_r, Rmult_1_l in H by lra. exact H. }
    pose proof (young d (xi th j) (vsub y y0) (2 * Lam) ltac:(lra)) as Y.
    assert (Y2 : norm2 (xi th j) / (2 * (2 * Lam)) = norm2 (xi th j) / Lam / 4) by (field; lra).
    pose proof (norm2_nonneg d (xi th j)). 
    assert (0 <= norm2 (xi th j) / Lam) by (apply Rmult_le_pos; [auto|left; now apply Rinv_0_lt_compat]).
    pose proof (dot_cs d (xi th j) (vsub y y0)) as CS. pose proof (norm2_nonneg d (vsub y y0)).
    set (s := dot (xi th j) (vsub y y0)) in *. set (q := norm2 (vsub y y0)) in *. set (r := norm2 (xi th j)) in *.
    (* s >= Lam q, s^2 <= r q: so Lam s <= r *)
    apply Rmult_le_reg_l with Lam; [auto|]. replace (Lam * (r / Lam)) with r by (field; lra).
    destruct (Rle_dec s 0); [nra|]. assert (Lam * s^2 <= r * s) by nra. nra. }
  apply Rle_trans with (Sum N (fun j => w th j * (norm2 (xi th j) / Lam) + w th j * dot (xi th j) (vsub y0 best))).
  - apply Sum_le; intros j Hj. rewrite <- Rmult_plus_distr_l. apply Rmult_le_compat_l; [now apply w_nonneg|].
    assert (E : dot (xi th j) (vsub (next th j) best) = dot (xi th j) (vsub (next th j) y0) + dot (xi th j) (vsub y0 best)).
    { unfold Vectors.dot, vsub; rewrite <- Sum_plus; apply Sum_ext; intros; ring. }
    pose proof (near j). lra.
  - rewrite Sum_plus.
    assert (Z : Sum N (fun j => w th j * dot (xi th j) (vsub y0 best)) = 0).
    { unfold Vectors.dot. transitivity (Sum d (fun i => (vsub y0 best i) * Sum N (fun j => w th j * xi th j i))).
      - transitivity (Sum N (fun j => Sum d (fun i => vsub y0 best i * (w th j * xi th j i)))).
        + apply Sum_ext; intros; rewrite <- Sum_scal; apply Sum_ext; intros; ring.
        + rewrite Sum_swap; apply Sum_ext; intros; now rewrite Sum_scal.
      - rewrite (Sum_ext d _ (fun _ => 0)); [apply Sum_0|]. intros i Hi; rewrite unbiased by auto; ring. }
    rewrite Z, Rplus_0_r.
    rewrite (Sum_ext N _ (fun j => / Lam * (w th j * norm2 (xi th j)))) by (intros; field; lra).
    rewrite Sum_scal. unfold Rdiv; rewrite (Rmult_comm V). apply Rmult_le_compat_l; [left; now apply Rinv_0_lt_compat|apply variance].
Qed.

Lemma expected_le : forall T phi psi th, (forall y, C y -> phi y <= psi y) -> C th -> expected T phi th <= expected T psi th.
Proof.
  induction T; intros phi psi th H Hth; simpl; [auto|].
  apply Sum_le; intros j Hj; apply Rmult_le_compat_l; [now apply w_nonneg|apply IHT; auto].
Qed.

Definition rate : R := 1 - mu / Lam.
Fixpoint floor (T : nat) : R := match T with O => 0 | S t => V / Lam + rate * floor t end.

Lemma one_step : forall th, C th -> expected 1 energy th <= rate * (Lam / 2 * norm2 (vsub th best)) + V / Lam.
Proof.
  intros th Hth; simpl.
  apply Rle_trans with (Sum N (fun j => w th j * ((Lam - mu) / 2 * norm2 (vsub th best)) + w th j * dot (xi th j) (vsub (next th j) best))).
  - apply Sum_le; intros j Hj; rewrite <- Rmult_plus_distr_l; apply Rmult_le_compat_l; [now apply w_nonneg|now apply step_energy].
  - rewrite Sum_plus, Sum_scal_r, w_sum. pose proof (noise_cost th Hth).
    replace (rate * (Lam / 2 * norm2 (vsub th best))) with ((Lam - mu) / 2 * norm2 (vsub th best)) by (unfold rate; field; lra). lra.
Qed.

Lemma many_steps : forall T th, C th ->
  expected (S T) energy th <= rate^(S T) * (Lam / 2 * norm2 (vsub th best)) + floor (S T).
Proof.
  assert (R0 : 0 <= rate) by (apply (rate_range mu mu_pos Lam mu_Lam)).
  induction T; intros th Hth.
  - simpl floor. rewrite pow_1, Rmult_0_r, Rplus_0_r. now apply one_step.
  - apply Rle_trans with (Sum N (fun j => w th j * (rate^(S T) * energy (next th j) + floor (S T)))).
    + change (Sum N (fun j => w th j * expected (S T) energy (next th j)) <= Sum N (fun j => w th j * (rate^(S T) * energy (next th j) + floor (S T)))).
      apply Sum_le; intros j Hj; apply Rmult_le_compat_l; [now apply w_nonneg|].
      eapply Rle_trans; [apply IHT; auto|]. apply Rplus_le_compat_r, Rmult_le_compat_l; [now apply pow_le|].
      unfold energy. destruct Hbest as [_ Mb]. pose proof (Mb (next th j) (next_in th j)). lra.
    + rewrite (Sum_ext N _ (fun j => rate^(S T) * (w th j * energy (next th j)) + w th j * floor (S T))) by (intros; ring).
      rewrite Sum_plus, Sum_scal, Sum_scal_r, w_sum.
      pose proof (one_step th Hth) as O; simpl in O.
      assert (P : 0 <= rate^(S T)) by now apply pow_le.
      apply Rmult_le_compat_l with (r := rate^(S T)) in O; [|auto].
      assert (F : forall t, floor (S t) = rate^t * (V / Lam) + floor t).
      { induction t; [simpl; ring|]. change (V / Lam + rate * floor (S t) = rate^(S t) * (V / Lam) + (V / Lam + rate * floor t)).
        rewrite IHt; simpl; ring. }
      rewrite (F (S T)). replace (rate^(S (S T))) with (rate^(S T) * rate) by (simpl; ring). lra.
Qed.

Lemma floor_le : forall T, floor T <= V / mu.
Proof.
  assert (R0 : 0 <= rate) by (apply (rate_range mu mu_pos Lam mu_Lam)).
  induction T; simpl.
  - apply Rmult_le_pos; [|left; now apply Rinv_0_lt_compat].
    eapply Rle_trans; [|apply (variance best)]. apply Sum_nonneg; intros; apply Rmult_le_pos; [now apply w_nonneg|apply norm2_nonneg].
  - apply Rmult_le_compat_l with (r := rate) in IHT; [|auto].
    replace (V / mu) with (V / Lam + rate * (V / mu)) by (unfold rate; field; lra). lra.
Qed.

Theorem C16b : forall T th, (1 <= T)%nat -> C th ->
  expected T (fun y => f best - f y) th <= Lam / 2 * (1 - mu / Lam)^T * norm2 (vsub th best) + V / mu.
Proof.
  intros T th HT Hth. destruct T as [|T]; [lia|].
  apply Rle_trans with (expected (S T) energy th).
  - apply expected_le; auto. intros y Hy; unfold energy.
    pose proof (norm2_nonneg d (vsub y best)). assert (0 <= Lam / 2 * norm2 (vsub y best)) by (apply Rmult_le_pos; lra). lra.
  - eapply Rle_trans; [now apply many_steps|]. pose proof (floor_le (S T)). fold rate. lra.
Qed.
End C16.
