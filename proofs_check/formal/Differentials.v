(** Gradient and Hessian as derivatives in R^d, not only along lines: for J_gamma, and every objective
    whose derivatives are continuous in the logits,

      f(th + v) = f(th) + <grad f(th), v> + o(|v|),   grad f(th + v)_i = grad f(th)_i + <Hess f(th)_i, v> + o(|v|). *)
Require Import Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
From Sail Require Import Sums Vectors Sigmoid Prompt Derivatives C01_gradient C02_hessian C07_kl_hessian Problem Objectives
  C12_strong_concavity Monotone.
Open Scope R_scope.

(** Neighbourhoods of th in R^d. *)
Definition near (d : nat) (th : vec) : (vec -> Prop) -> Prop :=
  fun A => exists e, 0 < e /\ forall th', norm2 d (vsub th' th) <= e -> A th'.

#[global] Instance near_filter : forall d th, Filter (near d th).
Proof.
  intros d th; constructor.
  - exists 1; split; [lra|auto].
  - intros A B [e [He HA]] [e' [He' HB]]. exists (Rmin e e'); split; [now apply Rmin_glb_lt|].
    intros t Ht. pose proof (Rmin_l e e'). pose proof (Rmin_r e e'). split; [apply HA|apply HB]; lra.
  - intros A B H [e [He HA]]; exists e; split; auto.
Qed.

Definition tends {T} (F : (T -> Prop) -> Prop) (f : T -> R) (l : R) : Prop := filterlim f F (locally l).

Section Limits.
Context {T : Type} (F : (T -> Prop) -> Prop) {FF : Filter F}.

Lemma tends_const : forall c, tends F (fun _ => c) c.
Proof. intros; apply filterlim_const. Qed.

Lemma tends_plus : forall f g a b, tends F f a -> tends F g b -> tends F (fun t => f t + g t) (a + b).
Proof.
  intros f g a b Hf Hg.
  apply (filterlim_comp_2 (G := locally a) (H := locally b) f g Rplus Hf Hg).
  apply (filterlim_plus (V := R_NormedModule) a b).
Qed.

Lemma tends_mult : forall f g a b, tends F f a -> tends F g b -> tends F (fun t => f t * g t) (a * b).
Proof.
  intros f g a b Hf Hg.
  apply (filterlim_comp_2 (G := locally a) (H := locally b) f g Rmult Hf Hg).
  apply (filterlim_mult (K := R_AbsRing) a b).
Qed.

Lemma tends_comp : forall (h : R -> R) f a, tends F f a -> (exists h', is_derive h a h') -> tends F (fun t => h (f t)) (h a).
Proof.
  intros h f a Hf Hh. apply (filterlim_comp _ _ _ f h F (locally a) (locally (h a)) Hf).
  apply (ex_derive_continuous h a); destruct Hh as [h' Hh]; now exists h'.
Qed.

Lemma tends_opp : forall f a, tends F f a -> tends F (fun t => - f t) (- a).
Proof. intros; apply (tends_comp Ropp); auto. exists (-1); auto_derive; [trivial|ring]. Qed.

Lemma tends_minus : forall f g a b, tends F f a -> tends F g b -> tends F (fun t => f t - g t) (a - b).
Proof. intros; unfold Rminus; apply tends_plus; auto; now apply tends_opp. Qed.

Lemma tends_Sum : forall n (f : T -> nat -> R) f0, (forall k, (k < n)%nat -> tends F (fun t => f t k) (f0 k)) ->
  tends F (fun t => Sum n (f t)) (Sum n f0).
Proof.
  induction n; intros f f0 H; simpl; [apply tends_const|].
  apply tends_plus; [apply IHn; intros; apply H; lia|apply H; lia].
Qed.

Lemma tends_exp : forall f a, tends F f a -> tends F (fun t => exp (f t)) (exp a).
Proof. intros; apply tends_comp; auto. exists (exp a); auto_derive; [trivial|ring]. Qed.

Lemma tends_div : forall f g a b, b <> 0 -> tends F f a -> tends F g b -> tends F (fun t => f t / g t) (a / b).
Proof.
  intros f g a b Hb Hf Hg; unfold Rdiv; apply tends_mult; auto.
  apply (tends_comp Rinv); auto. exists (- / b^2). auto_derive; [auto|field; auto].
Qed.

(** Everything about a prompt is continuous in the logits. *)
Section Prompt.
Variable Q : prompt.
Hypothesis VQ : valid_prompt Q.
Variable a : T -> nat -> R.
Variable a0 : nat -> R.
Hypothesis Ha : forall k, (k < responses Q)%nat -> tends F (fun t => a t k) (a0 k).
Notation m := (responses Q).

Lemma tends_pi : forall k, (k < m)%nat -> tends F (fun t => pi Q (a t) k) (pi Q a0 k).
Proof.
  intros k Hk; unfold pi; apply tends_div.
  - pose proof (partition_pos Q VQ a0); lra.
  - apply tends_mult; [apply tends_const|apply tends_exp; auto].
  - unfold partition; apply (tends_Sum m (fun t k => base Q k * exp (a t k))); intros; apply tends_mult; [apply tends_const|apply tends_exp; auto].
Qed.

Lemma tends_E : forall (f : T -> nat -> R) f0, (forall k, (k < m)%nat -> tends F (fun t => f t k) (f0 k)) ->
  tends F (fun t => E Q (a t) (f t)) (E Q a0 f0).
Proof.
  intros f f0 H; unfold E. apply (tends_Sum m (fun t k => pi Q (a t) k * f t k)); intros; apply tends_mult; auto; now apply tends_pi.
Qed.

Lemma tends_E2 : forall (f : T -> nat -> nat -> R) f0,
  (forall k l, (k < m)%nat -> (l < m)%nat -> tends F (fun t => f t k l) (f0 k l)) ->
  tends F (fun t => E2 Q (a t) (f t)) (E2 Q a0 f0).
Proof.
  intros f f0 H; unfold E2. apply (tends_E (fun t k => E Q (a t) (fun l => f t k l))); intros.
  apply (tends_E (fun t l => f t k l)); intros; auto.
Qed.

Lemma tends_score : forall b k, tends F (fun t => score Q (a t) b k) (score Q a0 b k).
Proof.
  intros; unfold score; apply tends_minus; [apply tends_const|]. apply (tends_E (fun _ k => b k)); intros; apply tends_const.
Qed.

Lemma tends_plus_score : forall b k l, tends F (fun t => plus_score Q (a t) b k l) (plus_score Q a0 b k l).
Proof. intros; unfold plus_score; apply tends_plus; apply tends_score. Qed.

Lemma tends_fisher2 : forall b c, tends F (fun t => fisher2 Q (a t) b c) (fisher2 Q a0 b c).
Proof.
  intros; unfold fisher2; apply (tends_E (fun t k => score Q (a t) b k * score Q (a t) c k)); intros.
  apply tends_mult; apply tends_score.
Qed.

Lemma tends_margin : forall k l, (k < m)%nat -> (l < m)%nat -> tends F (fun t => margin Q (a t) k l) (margin Q a0 k l).
Proof.
  intros; unfold margin; apply tends_mult; [apply tends_const|]. apply tends_minus; apply tends_minus; auto; apply tends_const.
Qed.

Lemma tends_sigma : forall f c, tends F f c -> tends F (fun t => sigma (f t)) (sigma c).
Proof. intros; apply tends_comp; auto. exists (sigma' c); apply sigma_derive. Qed.

Lemma tends_payoff : forall k l, (k < m)%nat -> (l < m)%nat -> tends F (fun t => payoff Q log_sigma (a t) k l) (payoff Q log_sigma a0 k l).
Proof.
  intros; unfold payoff.
  assert (L : forall f c, tends F f c -> tends F (fun t => log_sigma (f t)) (log_sigma c)).
  { intros; apply tends_comp; auto. exists (sigma (- c)); apply log_sigma_derive. }
  apply tends_plus; apply tends_mult; try apply tends_const; apply L; [|apply tends_opp]; now apply tends_margin.
Qed.

Lemma tends_u : forall k l, (k < m)%nat -> (l < m)%nat -> tends F (fun t => u Q (a t) k l) (u Q a0 k l).
Proof. intros; unfold u; apply tends_minus; [apply tends_const|apply tends_sigma; now apply tends_margin]. Qed.

Theorem J'_continuous : forall b, tends F (fun t => J' Q b (a t)) (J' Q b a0).
Proof.
  intros b; unfold J'. apply (tends_E2 (fun t k l => payoff Q log_sigma (a t) k l * plus_score Q (a t) b k l + beta Q * u Q (a t) k l * minus_score b k l)).
  intros k l Hk Hl. apply tends_plus; apply tends_mult; try apply tends_const.
  - now apply tends_payoff.
  - apply tends_plus_score.
  - apply tends_mult; [apply tends_const|now apply tends_u].
Qed.

Theorem J''_continuous : forall b c, tends F (fun t => J'' Q b c (a t)) (J'' Q b c a0).
Proof.
  intros b c; unfold J''. apply tends_minus.
  - apply (tends_E2 (fun t k l => payoff Q log_sigma (a t) k l * (plus_score Q (a t) b k l * plus_score Q (a t) c k l)
      + beta Q * u Q (a t) k l * (plus_score Q (a t) b k l * minus_score c k l + minus_score b k l * plus_score Q (a t) c k l)
      - (beta Q)^2 * sigma' (margin Q (a t) k l) * (minus_score b k l * minus_score c k l))).
    intros k l Hk Hl. apply tends_minus; [apply tends_plus|].
    + apply tends_mult; [now apply tends_payoff|apply tends_mult; apply tends_plus_score].
    + apply tends_mult; [apply tends_mult; [apply tends_const|now apply tends_u]|].
      apply tends_plus; apply tends_mult; try apply tends_const; apply tends_plus_score.
    + apply tends_mult; [|apply tends_const]. apply tends_mult; [apply tends_const|].
      unfold sigma'; apply tends_mult; apply tends_sigma; [|apply tends_opp]; now apply tends_margin.
  - apply tends_mult; [|apply tends_fisher2]. apply tends_mult; [apply tends_const|].
    unfold J, value; apply (tends_E2 (fun t => payoff Q log_sigma (a t))); intros; now apply tends_payoff.
Qed.

Theorem KL'_continuous : forall b, tends F (fun t => KL' Q b (a t)) (KL' Q b a0).
Proof. intros; unfold KL'; apply tends_minus; [apply (tends_E (fun _ => b)); intros; apply tends_const|apply tends_const]. Qed.
End Prompt.
End Limits.

(** An objective with continuous derivatives. *)
Record smooth_objective (P : problem) (o : objective) : Prop := {
  smooth_valid : valid_objective P o;
  first_continuous : forall x, (x < prompts P)%nat -> forall (F : (vec -> Prop) -> Prop), Filter F -> forall a a0 b,
    (forall k, (k < size P x)%nat -> tends F (fun t : vec => a t k) (a0 k)) -> tends F (fun t => val' o x b (a t)) (val' o x b a0);
  second_continuous : forall x, (x < prompts P)%nat -> forall (F : (vec -> Prop) -> Prop), Filter F -> forall a a0 b c,
    (forall k, (k < size P x)%nat -> tends F (fun t : vec => a t k) (a0 k)) -> tends F (fun t => val'' o x b c (a t)) (val'' o x b c a0) }.

Lemma sail_smooth : forall P, valid P -> smooth_objective P (sail P).
Proof.
  intros P VP; constructor.
  - now apply sail_valid.
  - intros x Hx F FF a a0 b H. apply (J'_continuous F (prompt_at P x) (prompt_valid P VP x Hx) a a0 H).
  - intros x Hx F FF a a0 b c H. apply (J''_continuous F (prompt_at P x) (prompt_valid P VP x Hx) a a0 H).
Qed.

Lemma regularised_smooth : forall P, valid P -> forall o gamma, smooth_objective P o -> smooth_objective P (regularised P o gamma).
Proof.
  intros P VP o gamma S; constructor.
  - apply regularised_valid; auto; apply (smooth_valid P o S).
  - intros x Hx F FF a a0 b H; simpl. apply tends_minus; auto; [now apply (first_continuous P o S x Hx F FF a a0 b)|].
    apply tends_mult; auto; [now apply tends_const|]. apply (KL'_continuous F (prompt_at P x) (prompt_valid P VP x Hx) a a0 H).
  - intros x Hx F FF a a0 b c H; simpl. apply tends_minus; auto; [now apply (second_continuous P o S x Hx F FF a a0 b c)|].
    apply tends_mult; auto; [now apply tends_const|]. apply (tends_fisher2 F (prompt_at P x) (prompt_valid P VP x Hx) a a0 H).
Qed.

(** A function with a continuous gradient along every line is differentiable. *)
Definition differentiable (d : nat) (f : vec -> R) (g : vec) (th : vec) : Prop :=
  forall e, 0 < e -> exists r, 0 < r /\ forall v, norm2 d v <= r ->
    Rabs (f (ray th v 1) - f th - dot d g v) <= e * norm d v.

Theorem line_derivatives_suffice : forall d f (g : vec -> vec) th,
  (forall v t, is_derive (fun t => f (ray th v t)) t (dot d (g (ray th v t)) v)) ->
  (forall i, (i < d)%nat -> tends (near d th) (fun t => g t i) (g th i)) ->
  differentiable d f (g th) th.
Proof.
  intros d f g th D Ct e He.
  set (e' := e / (INR d + 1)). assert (d0 : 0 <= INR d) by apply pos_INR. assert (He' : 0 < e') by (apply Rdiv_lt_0_compat; lra).
  assert (N : forall k, (k <= d)%nat -> near d th (fun t => forall i, (i < k)%nat -> Rabs (g t i - g th i) < e')).
  { induction k; intros Hk; [exists 1; split; [lra|intros; lia]|].
    assert (B : near d th (fun t => Rabs (g t k - g th k) < e')).
    { apply (Ct k ltac:(lia) (fun y => Rabs (y - g th k) < e')). exists (mkposreal e' He'). intros y Hy. exact Hy. }
    generalize (@filter_and _ (near d th) (near_filter d th) _ _ (IHk ltac:(lia)) B).
    apply (@filter_imp _ (near d th) (near_filter d th)). intros t [H1 H2] i Hi.
    destruct (Nat.eq_dec i k) as [->|]; [auto|apply H1; lia]. }
  destruct (N d (Nat.le_refl d)) as [r [Hr HN]].
  exists r; split; auto. intros v Hv.
  destruct (mean_value (fun t => f (ray th v t)) _ (D v)) as [c [Hc E]].
  assert (R0 : ray th v 0 = th) by apply ray0. rewrite R0 in E.
  rewrite E, <- dot_sub_l.
  assert (Nc : norm2 d (vsub (ray th v c) th) <= r).
  { assert (X : norm2 d (vsub (ray th v c) th) = c^2 * norm2 d v).
    { unfold norm2, dot, vsub, ray; rewrite <- Sum_scal; apply Sum_ext; intros; ring. }
    rewrite X. pose proof (norm2_nonneg d v). assert (c^2 <= 1) by nra. nra. }
  set (w := vsub (g (ray th v c)) (g th)).
  assert (W : norm2 d w <= e^2).
  { apply Rle_trans with (INR d * e'^2).
    - apply norm2_le; [apply pow2_ge_0|]. intros i Hi. pose proof (HN _ Nc i Hi) as B. unfold w, vsub.
      apply Rabs_lt_between in B. nra.
    - assert (Ee : e' * (INR d + 1) = e) by (unfold e'; field; lra). rewrite <- Ee.
      replace ((e' * (INR d + 1))^2) with (e'^2 * (INR d + 1)^2) by ring. rewrite Rmult_comm. apply Rmult_le_compat_l; [apply pow2_ge_0|nra]. }
  assert (Wn : norm d w <= e) by (unfold norm; rewrite <- (sqrt_pow2 e) by lra; apply sqrt_le_1; [apply norm2_nonneg|apply pow2_ge_0|exact W]).
  assert (A : forall z, dot d z v <= norm d z * norm d v).
  { intros z. unfold norm. rewrite <- sqrt_mult by apply norm2_nonneg. apply Rsqr_incr_0_var; [|apply sqrt_pos].
    rewrite Rsqr_sqrt; [pose proof (dot_cs d z v); unfold Rsqr; lra|]. apply Rmult_le_pos; apply norm2_nonneg. }
  assert (V0 : 0 <= norm d v) by apply sqrt_pos.
  pose proof (A w) as A1. pose proof (A (vscal (-1) w)) as A2. rewrite dot_scal_l in A2.
  assert (Nm : norm d (vscal (-1) w) = norm d w).
  { unfold norm; f_equal. unfold norm2, dot, vscal; apply Sum_ext; intros; ring. }
  rewrite Nm in A2. apply Rmult_le_compat_r with (r := norm d v) in Wn; [|auto]. apply Rabs_le; lra.
Qed.

Section InR.
Variable P : problem.
Hypothesis VP : valid P.
Variable o : objective.
Hypothesis SO : smooth_objective P o.
Notation d := (dim P).
Let VO : valid_objective P o := smooth_valid P o SO.

Lemma tends_logit : forall th x k, tends (near d th) (fun t => logit P t x k) (logit P th x k).
Proof.
  intros th x k; unfold logit, dot. apply (tends_Sum (near d th) d (fun t i => t i * feature P x k i)). intros i Hi.
  apply tends_mult; [apply near_filter| |apply tends_const; apply near_filter].
  intros A [[e He] HA]. exists (e^2 / 2). split; [apply Rdiv_lt_0_compat; [now apply pow_lt|lra]|].
  intros t Ht. apply HA. pose proof (norm2_coordinate d (vsub t th) i Hi) as N. unfold vsub in N at 1.
  assert (Q : (t i - th i)^2 < e^2) by (assert (0 < e^2) by (now apply pow_lt); lra).
  change (Rabs (t i - th i) < e). apply Rabs_def1; nra.
Qed.

Theorem gradient_is_derivative : forall th, differentiable d (total P o) (gradient P o th) th.
Proof.
  intros th. apply line_derivatives_suffice.
  - intros; now apply total_derive.
  - intros i Hi; unfold gradient.
    apply (tends_Sum (near d th) (prompts P) (fun t x => weight P x * val' o x (fun k => feature P x k i) (logit P t x))).
    intros x Hx. apply tends_mult; [apply near_filter|apply tends_const; apply near_filter|].
    apply (first_continuous P o SO x Hx (near d th) (near_filter d th)). intros; apply tends_logit.
Qed.

Theorem hessian_is_derivative : forall th i, differentiable d (fun t => gradient P o t i) (hessian P o th i) th.
Proof.
  intros th i. apply (line_derivatives_suffice d (fun t => gradient P o t i) (fun t => hessian P o t i)).
  - intros v t. unfold gradient, hessian, dot; evar_last.
    + apply (Sum_derive (prompts P) (fun x t => weight P x * val' o x (fun k => feature P x k i) (logit P (ray th v t) x))
        (fun x => weight P x * val'' o x (fun k => feature P x k i) (logit P v x) (logit P (ray th v t) x))).
      intros x Hx; apply is_derive_scal. eapply is_derive_ext; [intros; rewrite logit_ray; reflexivity|].
      rewrite logit_ray; now apply (second_derivative P o VO).
    + symmetry. transitivity (Sum d (fun j => Sum (prompts P) (fun x => weight P x * val'' o x (fun k => feature P x k i) (fun k => feature P x k j) (logit P (ray th v t) x) * v j))).
      { apply Sum_ext; intros; rewrite Sum_scal_r; reflexivity. }
      rewrite Sum_swap; apply Sum_ext; intros x Hx.
      rewrite (second_symmetric P o VO x Hx).
      pose proof (linear_sum _ _ (second_linear P o VO x Hx (logit P (ray th v t) x) (fun k => feature P x k i)) d v (fun j k => feature P x k j)) as L; cbv beta in L.
      change (logit P v x) with (fun k => Sum d (fun j => v j * feature P x k j)). rewrite L, <- Sum_scal.
      apply Sum_ext; intros j Hj. rewrite (second_symmetric P o VO x Hx); ring.
  - intros j Hj; unfold hessian.
    apply (tends_Sum (near d th) (prompts P) (fun t x => weight P x * val'' o x (fun k => feature P x k i) (fun k => feature P x k j) (logit P t x))).
    intros x Hx. apply tends_mult; [apply near_filter|apply tends_const; apply near_filter|].
    apply (second_continuous P o SO x Hx (near d th) (near_filter d th)). intros; apply tends_logit.
Qed.
End InR.

(** For J_gamma. *)
Corollary J_gamma_gradient : forall P, valid P -> forall gamma th,
  differentiable (dim P) (J_gamma P gamma) (gradient P (regularised P (sail P) gamma) th) th.
Proof. intros; apply gradient_is_derivative; apply regularised_smooth; auto; now apply sail_smooth. Qed.

Corollary J_gamma_hessian : forall P, valid P -> forall gamma th i,
  differentiable (dim P) (fun t => gradient P (regularised P (sail P) gamma) t i) (hessian P (regularised P (sail P) gamma) th i) th.
Proof. intros; apply hessian_is_derivative; auto; apply regularised_smooth; auto; now apply sail_smooth. Qed.
