(** C17. Mirror ascent with the Bregman distance of A: grad A(th+) = grad A(th) + grad J_gamma / L, or its
    constrained form, the argmax over C, which is used through its first-order condition. For k >= 1

      gap_k <= L (1 - (gamma - K)/L)^k D_A(best, th_0),   L = gamma + K^-:

    no e^{-DB}, no lambda_min. *)
Require Import Reals Lra Lia Psatz FunctionalExtensionality.
From Coquelicot Require Import Coquelicot.
From Sail Require Import Sums Vectors Sigmoid Prompt C11_relative_curvature Ascent Problem Objectives C12_strong_concavity.
Open Scope R_scope.

Section C17.
Variable P : problem.
Hypothesis VP : valid P.
Variable o : objective.
Hypothesis VO : valid_objective P o.
Variables K Km gamma : R.
Hypothesis HB : bounded P o K Km.
Hypothesis gamma_large : K < gamma.
Notation d := (dim P). Notation f := (total P (regularised P o gamma)). Notation grad := (gradient P (regularised P o gamma)).
Notation DA := (bregman P). Notation gradA := (gradient P (potential P)).
Notation L := (gamma + Km).

(** th+ maximises <grad f(th), y> - L D_A(y, th) over C: no direction into C improves it. The free step
    grad A(th+) = grad A(th) + grad f(th) / L is the case of equality. *)
Definition mirror_step (th y : vec) : Prop := in_C P y /\
  forall q, in_C P q -> dot d (grad th) (vsub q y) - L * (dot d (gradA y) (vsub q y) - dot d (gradA th) (vsub q y)) <= 0.

Lemma free_step : forall th y, in_C P y -> L <> 0 ->
  (forall i, (i < d)%nat -> gradA y i = gradA th i + grad th i / L) -> mirror_step th y.
Proof.
  intros th y Hy L0 H; split; auto. intros q Hq. apply Req_le.
  unfold dot; rewrite <- Sum_minus, <- Sum_scal, <- Sum_minus, (Sum_ext d _ (fun _ => 0)); [apply Sum_0|].
  intros i Hi; rewrite H by auto. field; auto.
Qed.

Lemma bregman_nonneg : forall a b, 0 <= DA b a.
Proof.
  intros a b; unfold bregman.
  pose proof (taylor2 (fun t => - (A P (ray a (vsub b a) t))) (fun t => - dot d (gradA (ray a (vsub b a) t)) (vsub b a))
    (fun t => - curvature P (potential P) (ray a (vsub b a) t) (vsub b a) (vsub b a)) 0) as T; cbv beta in T.
  rewrite (ray1 a b), (ray0 a) in T.
  assert (- A P b <= - A P a + - dot d (gradA a) (vsub b a) + 0 / 2); [|lra].
  apply T.
  - intros t. apply (is_derive_opp (fun t => A P (ray a (vsub b a) t))), (total_derive P _ (potential_valid P VP)).
  - intros t. apply (is_derive_opp (fun t => dot d (gradA (ray a (vsub b a) t)) (vsub b a))), (gradient_derive P _ (potential_valid P VP)).
  - intros t _. rewrite curvature_potential. pose proof (fisher_form_nonneg P VP (ray a (vsub b a) t) (vsub b a)). lra.
Qed.

Lemma three_points : forall q y th,
  dot d (gradA y) (vsub q y) - dot d (gradA th) (vsub q y) = DA q th - DA q y - DA y th.
Proof.
  intros; unfold bregman.
  assert (E : dot d (gradA th) (vsub q th) = dot d (gradA th) (vsub q y) + dot d (gradA th) (vsub y th)).
  { unfold dot, vsub; rewrite <- Sum_plus; apply Sum_ext; intros; ring. }
  rewrite E; ring.
Qed.

(** gap+ + L D_A(q, th+) <= (L - (gamma - K)) D_A(q, th). *)
Lemma mirror_energy : forall th y q, in_C P th -> in_C P q -> mirror_step th y ->
  (f q - f y) + L * DA q y <= (L - (gamma - K)) * DA q th.
Proof.
  intros th y q Hth Hq [Hy O]. pose proof (O q Hq) as Oq. rewrite three_points in Oq.
  destruct (C12_relative P VP o VO K Km gamma HB th y Hth Hy) as [_ S].
  destruct (C12_relative P VP o VO K Km gamma HB th q Hth Hq) as [U _].
  assert (E : dot d (grad th) (vsub q th) = dot d (grad th) (vsub q y) + dot d (grad th) (vsub y th)).
  { unfold dot, vsub; rewrite <- Sum_plus; apply Sum_ext; intros; ring. }
  lra.
Qed.

Theorem C17_general : forall (th : nat -> vec) best, in_C P (th O) -> maximiser (in_C P) f best ->
  (exists v, in_S P v /\ 0 < norm2 d v) ->
  (forall k, mirror_step (th k) (th (S k))) ->
  forall k, (1 <= k)%nat -> f best - f (th k) <= L * (1 - (gamma - K) / L)^k * DA best (th O).
Proof.
  intros th best H0 [Cb Mb] N St k Hk.
  assert (L0 : 0 < L) by exact (gamma_Km_pos P VP o K Km gamma HB gamma_large N).
  assert (CC : forall k, in_C P (th k)) by (destruct k0; [auto|apply (St k0)]).
  assert (G : forall k, 0 <= f best - f (th k)) by (intros j; pose proof (Mb (th j) (CC j)); lra).
  set (r := 1 - (gamma - K) / L).
  assert (En : forall k, (f best - f (th (S k))) + L * DA best (th (S k)) <= L * (r * DA best (th k))).
  { intros j. pose proof (mirror_energy (th j) (th (S j)) best (CC j) Cb (St j)) as M.
    replace (L * (r * DA best (th j))) with ((L - (gamma - K)) * DA best (th j)) by (unfold r; field; lra). exact M. }
  assert (r0 : 0 <= r).
  { destruct N as [v [Sv Nv]].
    destruct (lambda_min_spec P VP (ex_intro _ v (conj Sv Nv))) as [Lp [F _]].
    assert (Fp : 0 < fisher_form P (center P) v) by (eapply Rlt_le_trans; [|apply (F v Sv)]; now apply Rmult_lt_0_compat).
    destruct (C12_relative_curvature P VP o K Km gamma HB (center P) v (in_C_center P)) as [L1 U1].
    assert (gamma - K <= L) by (apply Rmult_le_reg_r with (fisher_form P (center P) v); [auto|lra]).
    unfold r. assert ((gamma - K) / L <= 1); [|lra].
    apply Rmult_le_reg_r with L; [auto|]. replace ((gamma - K) / L * L) with (gamma - K) by (field; lra). lra. }
  assert (Dk : forall k, DA best (th k) <= r^k * DA best (th O)).
  { induction k0; simpl; [lra|]. pose proof (En k0). pose proof (G (S k0)).
    assert (DA best (th (S k0)) <= r * DA best (th k0)) by (apply Rmult_le_reg_l with L; lra).
    apply Rmult_le_compat_l with (r := r) in IHk0; lra. }
  destruct k as [|k]; [lia|]. pose proof (En k) as E. pose proof (Dk k) as D1.
  pose proof (bregman_nonneg (th (S k)) best) as B.
  assert (0 <= L * DA best (th (S k))) by (apply Rmult_le_pos; lra).
  apply Rmult_le_compat_l with (r := r) in D1; [|auto]. apply Rmult_le_compat_l with (r := L) in D1; [|lra].
  simpl. lra.
Qed.
End C17.

Theorem C17 : forall P, valid P -> forall gamma, K_B (temperature P) (z_max P) < gamma ->
  (exists v, in_S P v /\ 0 < norm2 (dim P) v) ->
  forall (th : nat -> vec) best, in_C P (th O) -> maximiser (in_C P) (J_gamma P gamma) best ->
  (forall k, mirror_step P (sail P) (K_minus (temperature P) (z_max P)) gamma (th k) (th (S k))) ->
  let L := gamma + K_minus (temperature P) (z_max P) in
  forall k, (1 <= k)%nat -> J_gamma P gamma best - J_gamma P gamma (th k)
    <= L * (1 - (gamma - K_B (temperature P) (z_max P)) / L)^k * bregman P best (th O).
Proof.
  intros P VP gamma Hg N th best H0 Hb St L k Hk.
  exact (C17_general P VP (sail P) (sail_valid P VP) _ _ gamma (C11_on_C P VP) Hg th best H0 Hb N St k Hk).
Qed.

(** The constrained step exists: the model is strongly concave on C, and at its maximiser no direction into C improves it. *)
Theorem C17_step_exists : forall P, valid P -> forall o, valid_objective P o -> forall K Km gamma, bounded P o K Km -> K < gamma ->
  (exists v, in_S P v /\ 0 < norm2 (dim P) v) -> forall th, exists y, mirror_step P o Km gamma th y.
Proof.
  intros P VP o VO K Km gamma HB Hg N th.
  pose proof (gamma_Km_pos P VP o K Km gamma HB Hg N) as L0. set (L := gamma + Km) in *.
  set (g := gradient P (regularised P o gamma) th). set (gA := gradient P (potential P)). set (d := dim P).
  set (model := fun y => dot d g y - L * (A P y - dot d (gA th) y)).
  set (slope := fun y : vec => fun i => g i - L * (gA y i - gA th i)).
  set (e := exp (- (diameter P * radius P)) * lambda_min P).
  destruct (lambda_min_spec P VP N) as [Lp [Lf _]].
  assert (e0 : 0 < e) by (apply Rmult_lt_0_compat; [apply exp_pos|auto]).
  assert (Sl : forall a v, dot d (slope a) v = dot d g v - L * (dot d (gA a) v - dot d (gA th) v)).
  { intros a v; unfold slope, dot; rewrite <- Sum_minus, <- Sum_scal, <- Sum_minus; apply Sum_ext; intros; ring. }
  assert (Md : forall a b, model b - model a = dot d g (vsub b a) - L * ((A P b - A P a) - dot d (gA th) (vsub b a))).
  { intros a b; unfold model; rewrite !dot_sub_r; ring. }
  assert (SC : strongly_concave d (in_C P) model slope (L * e)).
  { intros a b Ha Hb. set (v := vsub b a).
    assert (T : 0 * total P (regularised P o gamma) b + (-1) * A P b <= 0 * total P (regularised P o gamma) a + (-1) * A P a
      + (0 * dot (dim P) (gradient P (regularised P o gamma) a) v + (-1) * dot (dim P) (gradient P (potential P) a) v) + (- e * norm2 d v) / 2).
    { apply (taylor_segment P VP o VO gamma 0 (-1) (- e * norm2 d v) a b). intros t Ht. fold v.
      pose proof (C09_averaged P VP (ray a v t) v (ray_in_C P a b t Ha Hb Ht)) as F.
      pose proof (Lf v (in_C_difference P a b Ha Hb)) as F2. pose proof (exp_pos (- (diameter P * radius P))) as X.
      apply Rmult_le_compat_l with (r := exp (- (diameter P * radius P))) in F2; [|lra]. unfold e, d; lra. }
    pose proof (Md a b) as M. rewrite Sl. fold v in M |- *. fold d gA in T.
    assert (L * ((-1) * A P b) <= L * ((-1) * A P a + (-1) * dot d (gA a) v + (- e * norm2 d v) / 2)) by (apply Rmult_le_compat_l; lra). lra. }
  assert (Le : 0 < L * e) by (now apply Rmult_lt_0_compat).
  destruct (maximiser_exists d (in_C P) model slope (L * e) Le (in_C_convex P) SC (in_C_closed P VP) (ex_intro _ _ (in_C_center P))) as [y [Cy My]].
  exists y; split; auto. intros q Cq. fold L g gA d. set (v := vsub q y).
  rewrite <- Sl. set (s := dot d (slope y) v). destruct (Rle_dec s 0) as [|Ns]; [auto|exfalso].
  set (c := L * ((diameter P)^2 / 4) * norm2 d v). pose proof (norm2_nonneg d v) as Nv.
  assert (D0 : 0 <= (diameter P)^2 / 4) by (pose proof (pow2_ge_0 (diameter P)); lra).
  assert (c0 : 0 <= c) by (unfold c; apply Rmult_le_pos; auto; apply Rmult_le_pos; lra).
  assert (Up : forall t, 0 <= t <= 1 -> t * s <= t^2 * c / 2).
  { intros t Ht. set (z := step y q t). assert (Cz : in_C P z) by (now apply in_C_convex).
    assert (Vz : vsub z y = vscal t v) by (apply functional_extensionality; intros i; unfold z, step, vscal, v, vsub; ring).
    assert (T : 0 * total P (regularised P o gamma) z + 1 * A P z <= 0 * total P (regularised P o gamma) y + 1 * A P y
      + (0 * dot (dim P) (gradient P (regularised P o gamma) y) (vsub z y) + 1 * dot (dim P) (gradient P (potential P) y) (vsub z y))
      + ((diameter P)^2 / 4 * norm2 d (vsub z y)) / 2).
    { apply (taylor_segment P VP o VO gamma 0 1 ((diameter P)^2 / 4 * norm2 d (vsub z y)) y z). intros r Hr.
      pose proof (fisher_form_upper P VP (ray y (vsub z y) r) (vsub z y)). unfold d; lra. }
    pose proof (My z Cz) as Mz. pose proof (Md y z) as M. rewrite Vz in *. fold d gA in T.
    rewrite !dot_scal_r in *. assert (Nz : norm2 d (vscal t v) = t^2 * norm2 d v) by (unfold norm2; rewrite dot_scal_l, dot_scal_r; ring).
    rewrite Nz in T. pose proof (Sl y v) as Sy. fold s in Sy.
    assert (L * (1 * A P z) <= L * (1 * A P y + 1 * (t * dot d (gA y) v) + (diameter P)^2 / 4 * (t^2 * norm2 d v) / 2)) by (apply Rmult_le_compat_l; lra).
    unfold c. rewrite Sy. lra. }
  set (t := s / (c + s)). assert (P0 : 0 < c + s) by lra.
  assert (Ht : 0 < t <= 1).
  { unfold t; split; [apply Rdiv_lt_0_compat; lra|]. apply Rmult_le_reg_r with (c + s); [auto|].
    replace (s / (c + s) * (c + s)) with s by (field; lra). lra. }
  pose proof (Up t ltac:(lra)) as U. assert (Et : t * (c + s) = s) by (unfold t; field; lra). nra.
Qed.
