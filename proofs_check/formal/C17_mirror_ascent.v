(** C17. Mirror ascent with the Bregman distance of A: grad A(th+) = grad A(th) + grad J_gamma / L, or its
    constrained form, the argmax over C, which is used through its first-order condition. For k >= 1

      gap_k <= L (1 - (gamma - K)/L)^k D_A(best, th_0),   L = gamma + K^-:

    no e^{-DB}, no lambda_min. *)
Require Import Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
From Sail Require Import Sums Vectors Sigmoid Prompt C11_relative_curvature Ascent Problem C12_strong_concavity.
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
