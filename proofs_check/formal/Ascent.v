(** First-order optimisation of a strongly concave, smooth f on a closed convex C in R^d:
    the maximiser and projections exist and are unique, PL, prox-PL, the rate of projected ascent. *)
Require Import Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
From Sail Require Import Sums Vectors.
Open Scope R_scope.

(** Nonempty sets A(e), ever smaller as e falls, with |a - b|^2 <= kappa e on A(e), close in on one point:
    its coordinates are the suprema of the lower bounds. *)
Lemma limit_point : forall d (C : vec -> Prop) (A : R -> vec -> Prop) kappa, 0 <= kappa -> closed d C ->
  (forall e a, A e a -> C a) -> (forall e, 0 < e -> exists a, A e a) ->
  (forall e e' a, e <= e' -> A e a -> A e' a) ->
  (forall e a b, 0 < e -> A e a -> A e b -> norm2 d (vsub a b) <= kappa * e) ->
  exists x, C x /\ forall e a, 0 < e -> A e a -> norm2 d (vsub x a) <= INR d * (kappa * e).
Proof.
  intros d C A kappa k0 C_closed A_C A_ex A_mono A_near.
  set (E := fun i y => exists e, 0 < e /\ forall a, A e a -> y <= a i).
  set (x := fun i => real (Lub_Rbar (E i))).
  assert (X : forall i e a, (i < d)%nat -> 0 < e -> A e a -> (x i - a i)^2 <= kappa * e).
  { intros i e a Hi He Ha.
    set (r := sqrt (kappa * e)).
    assert (R2 : 0 <= kappa * e) by (apply Rmult_le_pos; lra).
    assert (r0 : 0 <= r) by apply sqrt_pos.
    assert (near : forall b, A e b -> a i - r <= b i <= a i + r).
    { intros b Hb. pose proof (A_near e a b He Ha Hb) as N.
      pose proof (norm2_coordinate d (vsub a b) i Hi) as Q; unfold vsub at 1 in Q.
      assert (S : (a i - b i)^2 <= r^2) by (unfold r; rewrite pow2_sqrt by auto; lra).
      split; nra. }
    assert (up : forall y, E i y -> y <= a i + r).
    { intros y [e' [He' Hy]]. destruct (A_ex (Rmin e e')) as [b Hb].
      { unfold Rmin; destruct (Rle_dec e e'); auto. }
      pose proof (Hy b (A_mono _ e' b (Rmin_r e e') Hb)). destruct (near b (A_mono _ e b (Rmin_l e e') Hb)). lra. }
    assert (low : E i (a i - r)) by (exists e; split; auto; intros b Hb; destruct (near b Hb); lra).
    destruct (Lub_Rbar_correct (E i)) as [U L]. unfold x.
    pose proof (U _ low) as U1. assert (L1 : Rbar_le (Lub_Rbar (E i)) (a i + r)) by (apply L; intros y Hy; apply up, Hy).
    destruct (Lub_Rbar (E i)) as [l| |]; simpl in *; try contradiction.
    replace (kappa * e) with (r^2) by (unfold r; now rewrite pow2_sqrt). nra. }
  assert (XN : forall e a, 0 < e -> A e a -> norm2 d (vsub x a) <= INR d * (kappa * e)).
  { intros e a He Ha. apply norm2_le; [apply Rmult_le_pos; lra|]. intros i Hi; now apply X. }
  exists x; split; auto.
  apply C_closed; intros t Ht.
  assert (dk : 0 <= INR d * kappa) by (apply Rmult_le_pos; [apply pos_INR|auto]).
  set (e := t / (INR d * kappa + 1)). assert (He : 0 < e) by (apply Rdiv_lt_0_compat; lra).
  destruct (A_ex e He) as [a Ha]. exists a; split; [now apply (A_C e)|].
  eapply Rle_trans; [apply (XN e a He Ha)|].
  assert (Eq : (INR d * kappa + 1) * e = t) by (unfold e; field; lra). nra.
Qed.

Section Ascent.
Variable d : nat.
Variable C : vec -> Prop.
Variable f : vec -> R.
Variable grad : vec -> vec.
Variable mu : R.
Notation dot := (dot d). Notation norm2 := (norm2 d).

Definition strongly_concave : Prop := forall a b, C a -> C b ->
  f b <= f a + dot (grad a) (vsub b a) - mu / 2 * norm2 (vsub b a).
Definition smooth (Lam : R) : Prop := forall a b, C a -> C b ->
  f a + dot (grad a) (vsub b a) - Lam / 2 * norm2 (vsub b a) <= f b.
Definition maximiser (x : vec) : Prop := C x /\ forall y, C y -> f y <= f x.

Hypothesis mu_pos : 0 < mu.
Hypothesis C_convex : convex C.
Hypothesis SC : strongly_concave.

(** C13, plain PL: against every point of C, so against the maximum. *)
Theorem plain_PL : forall a y, C a -> C y -> 2 * mu * (f y - f a) <= norm2 (grad a).
Proof.
  intros a y Ha Hy. pose proof (SC a y Ha Hy). pose proof (young d (grad a) (vsub y a) mu mu_pos) as Y.
  assert (H0 : f y - f a <= norm2 (grad a) / (2 * mu)) by lra.
  apply Rmult_le_compat_l with (r := 2 * mu) in H0; [|lra].
  replace (2 * mu * (norm2 (grad a) / (2 * mu))) with (norm2 (grad a)) in H0 by (field; lra). lra.
Qed.

(** Points whose values are within e of a bound M of f on C are within 8 e / mu of each other. *)
Lemma near_maximum : forall M e a b, (forall y, C y -> f y <= M) -> C a -> C b ->
  M - e <= f a -> M - e <= f b -> norm2 (vsub a b) <= 8 * e / mu.
Proof.
  intros M e a b HM Ha Hb Fa Fb.
  assert (Hc : C (step a b (1/2))) by (apply C_convex; auto; lra). set (c := step a b (1/2)) in *.
  pose proof (SC c a Hc Ha) as Sa. pose proof (SC c b Hc Hb) as Sb. pose proof (HM c Hc) as Mc.
  assert (Na : norm2 (vsub a c) = / 4 * norm2 (vsub a b)).
  { unfold c, Vectors.norm2, Vectors.dot, vsub, step; rewrite <- Sum_scal; apply Sum_ext; intros; field. }
  assert (Nb : norm2 (vsub b c) = / 4 * norm2 (vsub a b)).
  { unfold c, Vectors.norm2, Vectors.dot, vsub, step; rewrite <- Sum_scal; apply Sum_ext; intros; field. }
  assert (D : dot (grad c) (vsub a c) + dot (grad c) (vsub b c) = 0).
  { unfold Vectors.dot; rewrite <- Sum_plus, (Sum_ext d _ (fun _ => 0)); [apply Sum_0|].
    intros; unfold vsub, c, step; field. }
  rewrite Na in Sa; rewrite Nb in Sb.
  apply Rmult_le_reg_l with (mu / 8); [lra|]. replace (mu / 8 * (8 * e / mu)) with e by (field; lra). lra.
Qed.

(** Two maximisers agree in every coordinate. *)
Theorem maximiser_unique : forall x y, maximiser x -> maximiser y -> same d x y.
Proof.
  intros x y [Hx Mx] [Hy My] i Hi.
  assert (N : norm2 (vsub x y) <= 8 * 0 / mu).
  { apply (near_maximum (f x) 0); auto; pose proof (My x Hx); lra. }
  replace (8 * 0 / mu) with 0 in N by (field; lra).
  assert (Z : norm2 (vsub x y) = 0) by (pose proof (norm2_nonneg d (vsub x y)); lra).
  pose proof (norm2_zero d _ Z i Hi) as Q; unfold vsub in Q; lra.
Qed.

(** The maximiser exists: its coordinates are limits along points ever nearer to the supremum. *)
Theorem maximiser_exists : closed d C -> (exists a, C a) -> exists x, maximiser x.
Proof.
  intros C_closed [a0 H0].
  destruct (completeness (fun r => exists y, C y /\ r = f y)) as [M [MU ML]].
  { exists (f a0 + norm2 (grad a0) / (2 * mu)); intros r [y [Hy ->]].
    pose proof (plain_PL a0 y H0 Hy) as P.
    assert (f y - f a0 <= norm2 (grad a0) / (2 * mu)); [|lra].
    apply Rmult_le_reg_l with (2 * mu); [lra|].
    replace (2 * mu * (norm2 (grad a0) / (2 * mu))) with (norm2 (grad a0)) by (field; lra). exact P. }
  { exists (f a0), a0; auto. }
  assert (HM : forall y, C y -> f y <= M) by (intros y Hy; apply MU; exists y; auto).
  set (A := fun e a => C a /\ M - e <= f a).
  assert (A_ex : forall e, 0 < e -> exists a, A e a).
  { intros e He. destruct (Classical_Prop.classic (exists a, A e a)) as [|N]; [assumption|exfalso].
    assert (M <= M - e); [|lra]. apply ML; intros r [y [Hy ->]].
    destruct (Rle_dec (M - e) (f y)) as [L|L]; [exfalso; apply N; exists y; split; auto|lra]. }
  destruct (limit_point d C A (8 / mu)) as [x [Cx XN]]; auto.
  { left; apply Rdiv_lt_0_compat; lra. }
  { intros e a [Ca _]; exact Ca. }
  { intros e e' a He [Ca Fa]; split; auto; lra. }
  { intros e a b _ [Ca Fa] [Cb Fb]. replace (8 / mu * e) with (8 * e / mu) by (field; lra). now apply (near_maximum M). }
  assert (small : forall k, 0 <= k -> forall t, 0 < t -> exists e, 0 < e /\ k * e <= t /\ e <= t).
  { intros k Hk t Ht. exists (t / (k + 1)).
    assert (P : 0 < t / (k + 1)) by (apply Rdiv_lt_0_compat; lra).
    assert (Eq : (k + 1) * (t / (k + 1)) = t) by (field; lra). split; [auto|split]; nra. }
  assert (d0 : 0 <= INR d * (8 / mu)) by (apply Rmult_le_pos; [apply pos_INR|left; apply Rdiv_lt_0_compat; lra]).
  exists x; split; auto. intros y Hy.
  destruct (Rle_dec (f y) (f x)) as [|N]; [auto|exfalso].
  assert (G : 0 < M - f x) by (pose proof (HM y Hy); lra). set (g := M - f x) in *.
  pose proof (norm2_nonneg d (grad x)) as Ng.
  destruct (small (norm2 (grad x) * (INR d * (8 / mu))) (Rmult_le_pos _ _ Ng d0) (Rmin (g / 2) (g^2 / 16))) as [e [He [Ke Le]]].
  { apply Rmin_glb_lt; [lra|]. assert (0 < g^2) by (apply pow_lt; auto). lra. }
  destruct (A_ex e He) as [a [Ca Fa]].
  pose proof (SC x a Cx Ca) as S. pose proof (dot_cs d (grad x) (vsub a x)) as CS.
  assert (N2 : norm2 (vsub a x) <= INR d * (8 / mu) * e).
  { rewrite norm2_vsub_sym, Rmult_assoc. apply XN; auto; split; auto. }
  assert (D2 : (dot (grad x) (vsub a x))^2 <= g^2 / 16).
  { eapply Rle_trans; [exact CS|]. eapply Rle_trans; [apply Rmult_le_compat_l; [auto|exact N2]|].
    rewrite <- Rmult_assoc. eapply Rle_trans; [exact Ke|apply Rmin_r]. }
  pose proof (Rmin_l (g / 2) (g^2 / 16)). pose proof (norm2_nonneg d (vsub a x)).
  assert (0 <= mu / 2 * norm2 (vsub a x)) by (apply Rmult_le_pos; lra).
  assert (dot (grad x) (vsub a x) <= g / 4) by nra.
  unfold g in *; lra.
Qed.

Variable Lam : R.
Hypothesis mu_Lam : mu <= Lam.
Hypothesis SM : smooth Lam.

(** C13, prox-PL: some y in C has model value at least (mu / Lam) of the gap to any point q. *)
Theorem prox_PL : forall a q, C a -> C q ->
  exists y, C y /\ mu / Lam * (f q - f a) <= dot (grad a) (vsub y a) - Lam / 2 * norm2 (vsub y a).
Proof.
  intros a q Ha Hq. set (t := mu / Lam).
  assert (Ht : 0 <= t <= 1).
  { unfold t; split; [apply Rmult_le_pos; [lra|left; apply Rinv_0_lt_compat; lra]|].
    apply Rmult_le_reg_r with Lam; [lra|]. replace (mu / Lam * Lam) with mu by (field; lra). lra. }
  exists (step a q t); split; [now apply C_convex|].
  rewrite dot_step, norm2_step. pose proof (SC a q Ha Hq).
  replace (Lam / 2 * (t^2 * norm2 (vsub q a))) with (t * (mu / 2 * norm2 (vsub q a))) by (unfold t; field; lra).
  assert (t * (f q - f a) <= t * (dot (grad a) (vsub q a) - mu / 2 * norm2 (vsub q a))) by (apply Rmult_le_compat_l; lra).
  lra.
Qed.

(** y is the Euclidean projection of the gradient step a + grad a / Lam onto C. *)
Definition projected_step (a y : vec) : Prop :=
  C y /\ forall q, C q -> norm2 (vsub y (fun i => a i + / Lam * grad a i)) <= norm2 (vsub q (fun i => a i + / Lam * grad a i)).

Lemma step_model : forall a q,
  dot (grad a) (vsub q a) - Lam / 2 * norm2 (vsub q a)
   = / (2 * Lam) * norm2 (grad a) - Lam / 2 * norm2 (vsub q (fun i => a i + / Lam * grad a i)).
Proof.
  intros; unfold Vectors.norm2, Vectors.dot, vsub; rewrite <- !Sum_scal, <- !Sum_minus; apply Sum_ext; intros; field; lra.
Qed.

(** C15: one projected step contracts the gap to any comparison point q of C. *)
Theorem projected_step_contracts : forall a y q, C a -> C q -> projected_step a y ->
  f q - f y <= (1 - mu / Lam) * (f q - f a).
Proof.
  intros a y q Ha Hq [Hy Pr].
  destruct (prox_PL a q Ha Hq) as [w [Hw Pw]].
  pose proof (Pr w Hw) as N. pose proof (SM a y Ha Hy) as S.
  assert (Lam / 2 * norm2 (vsub y (fun i => a i + / Lam * grad a i)) <= Lam / 2 * norm2 (vsub w (fun i => a i + / Lam * grad a i)))
    by (apply Rmult_le_compat_l; lra).
  pose proof (step_model a y). pose proof (step_model a w). lra.
Qed.

Lemma rate_range : 0 <= 1 - mu / Lam.
Proof.
  assert (mu / Lam <= 1); [|lra]. apply Rmult_le_reg_r with Lam; [lra|].
  replace (mu / Lam * Lam) with mu by (field; lra). lra.
Qed.

Theorem projected_ascent : forall (th : nat -> vec) q,
  C (th O) -> C q -> (forall k, projected_step (th k) (th (S k))) ->
  forall k, f q - f (th k) <= (1 - mu / Lam)^k * (f q - f (th O)).
Proof.
  intros th q H0 Hq St.
  assert (CC : forall k, C (th k)) by (destruct k; [auto|apply (St k)]).
  induction k; simpl; [lra|].
  eapply Rle_trans; [apply (projected_step_contracts (th k)); auto|].
  rewrite Rmult_assoc; apply Rmult_le_compat_l; auto. apply rate_range.
Qed.
End Ascent.

(** The nearest point of a closed convex set exists and is unique. *)
Theorem projection_exists : forall d C y, convex C -> closed d C -> (exists a, C a) ->
  exists p, C p /\ (forall q, C q -> norm2 d (vsub p y) <= norm2 d (vsub q y)) /\
    forall p', C p' -> (forall q, C q -> norm2 d (vsub p' y) <= norm2 d (vsub q y)) -> same d p p'.
Proof.
  intros d C y Cv Cl Ne.
  set (f := fun x => - (norm2 d (vsub x y) / 2)). set (g := fun x : vec => vsub y x).
  assert (SC : strongly_concave d C f g 1).
  { intros a b _ _. apply Req_le. unfold f, g.
    assert (E : norm2 d (vsub b y) = norm2 d (vsub a y) - 2 * dot d (vsub y a) (vsub b a) + norm2 d (vsub b a)).
    { unfold norm2, dot, vsub; rewrite <- !Sum_scal, <- Sum_minus, <- Sum_plus; apply Sum_ext; intros; ring. }
    rewrite E; field. }
  destruct (maximiser_exists d C f g 1 Rlt_0_1 Cv SC Cl Ne) as [p [Hp Mp]].
  exists p; split; [auto|split].
  - intros q Hq. pose proof (Mp q Hq) as M; unfold f in M; lra.
  - intros p' Hp' M'. apply (maximiser_unique d C f g 1 Rlt_0_1 Cv SC).
    + split; auto.
    + split; auto. intros q Hq. pose proof (M' q Hq) as M; unfold f; lra.
Qed.

(** The first-order condition of a projection: the remainder points away from C. *)
Lemma projection_obtuse : forall d C y p, convex C -> C p ->
  (forall q, C q -> norm2 d (vsub p y) <= norm2 d (vsub q y)) ->
  forall q, C q -> dot d (vsub y p) (vsub q p) <= 0.
Proof.
  intros d C y p Cv Hp Pr q Hq.
  destruct (Rle_dec (dot d (vsub y p) (vsub q p)) 0) as [|N]; [auto|exfalso].
  set (s := dot d (vsub y p) (vsub q p)) in *. set (n := norm2 d (vsub q p)).
  assert (n0 : 0 <= n) by apply norm2_nonneg.
  assert (T : forall t, 0 <= t <= 1 -> 0 <= - 2 * t * s + t^2 * n).
  { intros t Ht. pose proof (Pr (step p q t) (Cv p q t Hp Hq Ht)) as P.
    assert (E : norm2 d (vsub (step p q t) y) = norm2 d (vsub p y) - 2 * t * s + t^2 * n).
    { unfold s, n, norm2, dot, vsub, step; rewrite <- !Sum_scal, <- Sum_minus, <- Sum_plus; apply Sum_ext; intros; ring. }
    lra. }
  assert (P : 0 < n + s) by lra.
  set (t := s / (n + s)).
  assert (Ht : 0 <= t <= 1).
  { unfold t; split; [apply Rmult_le_pos; [lra|left; now apply Rinv_0_lt_compat]|].
    apply Rmult_le_reg_r with (n + s); [auto|]. replace (s / (n + s) * (n + s)) with s by (field; lra). lra. }
  pose proof (T t Ht) as Q.
  assert (tp : 0 < t) by (unfold t; apply Rdiv_lt_0_compat; lra).
  assert (E : t * (n + s) = s) by (unfold t; field; lra). nra.
Qed.

(** Second-order Taylor on [0,1]. *)
Lemma taylor2 : forall (f f1 f2 : R -> R) M,
  (forall t, is_derive f t (f1 t)) -> (forall t, is_derive f1 t (f2 t)) ->
  (forall t, 0 <= t <= 1 -> f2 t <= M) -> f 1 <= f 0 + f1 0 + M / 2.
Proof.
  intros f f1 f2 M D1 D2 H.
  destruct (MVT_gen (fun t => f t - M * t^2 / 2) 0 1 (fun t => f1 t - M * t)) as [c [Hc E]].
  - intros t _. apply (is_derive_minus f (fun t => M * t^2 / 2)); [apply D1|]. auto_derive; [trivial|field].
  - intros t _. apply continuity_pt_filterlim, (ex_derive_continuous (fun t => f t - M * t^2/2)).
    eexists. apply (is_derive_minus f (fun t => M * t^2 / 2)); [apply D1|]. auto_derive; [trivial|reflexivity].
  - rewrite Rmin_left, Rmax_right in Hc by lra.
    destruct (MVT_gen f1 0 c f2) as [e [He E2]].
    + intros; apply D2.
    + intros t _; apply continuity_pt_filterlim, (ex_derive_continuous f1); eexists; apply D2.
    + rewrite Rmin_left, Rmax_right in He by lra.
      assert (f2 e * c <= M * c) by (apply Rmult_le_compat_r; [lra|apply H; lra]). nra.
Qed.
