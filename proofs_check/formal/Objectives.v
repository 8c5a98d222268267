(** Objectives: means over prompts of functions of the logits, with two derivatives along lines; their gradient
    and Hessian in R^d. SAIL is one, and o - gamma KL(pi_ref || pi_theta) is one when o is. *)
Require Import Reals Lra Lia Psatz List FunctionalExtensionality.
From Coquelicot Require Import Coquelicot.
From Sail Require Import Sums Vectors Sigmoid Prompt Derivatives C01_gradient C02_hessian C07_kl_hessian Problem.
Open Scope R_scope.

Record objective := {
  val : nat -> (nat -> R) -> R;                               (* prompt, logits *)
  val' : nat -> (nat -> R) -> (nat -> R) -> R;                (* prompt, direction, logits *)
  val'' : nat -> (nat -> R) -> (nat -> R) -> (nat -> R) -> R }.

(** A function of directions that is linear and reads only the m coordinates. *)
Definition linear (m : nat) (f : (nat -> R) -> R) : Prop :=
  (forall a b s, f (fun k => a k + s * b k) = f a + s * f b) /\
  (forall a b, (forall k, (k < m)%nat -> a k = b k) -> f a = f b).

Lemma linear_sum : forall m f, linear m f -> forall d (v : nat -> R) (h : nat -> nat -> R),
  f (fun k => Sum d (fun i => v i * h i k)) = Sum d (fun i => v i * f (h i)).
Proof.
  intros m f [L _]; induction d as [|d IH]; intros v h.
  - change (f (fun _ => 0) = 0). pose proof (L (fun _ => 0) (fun _ => 0) 1) as H; cbv beta in H.
    assert (Z : (fun _ : nat => 0 + 1 * 0) = (fun _ => 0)) by (apply functional_extensionality; intros; ring).
    rewrite Z in H. lra.
  - change (f (fun k => Sum d (fun i => v i * h i k) + v d * h d k) = Sum d (fun i => v i * f (h i)) + v d * f (h d)).
    rewrite (L (fun k => Sum d (fun i => v i * h i k)) (h d) (v d)), IH. reflexivity.
Qed.

Record valid_objective (P : problem) (o : objective) : Prop := {
  first_derivative : forall x, (x < prompts P)%nat -> forall a b t,
    is_derive (fun t => val o x (line a b t)) t (val' o x b (line a b t));
  second_derivative : forall x, (x < prompts P)%nat -> forall a b c t,
    is_derive (fun t => val' o x b (line a c t)) t (val'' o x b c (line a c t));
  first_linear : forall x, (x < prompts P)%nat -> forall a, linear (size P x) (fun b => val' o x b a);
  second_linear : forall x, (x < prompts P)%nat -> forall a c, linear (size P x) (fun b => val'' o x b c a);
  second_symmetric : forall x, (x < prompts P)%nat -> forall a b c, val'' o x b c a = val'' o x c b a }.

Definition total (P : problem) (o : objective) (th : vec) : R :=
  Sum (prompts P) (fun x => weight P x * val o x (logit P th x)).
Definition gradient (P : problem) (o : objective) (th : vec) : vec := fun i =>
  Sum (prompts P) (fun x => weight P x * val' o x (fun k => feature P x k i) (logit P th x)).
Definition hessian (P : problem) (o : objective) (th : vec) (i j : nat) : R :=
  Sum (prompts P) (fun x => weight P x * val'' o x (fun k => feature P x k i) (fun k => feature P x k j) (logit P th x)).
Definition curvature (P : problem) (o : objective) (th v w : vec) : R :=
  Sum (prompts P) (fun x => weight P x * val'' o x (logit P v x) (logit P w x) (logit P th x)).

(** o - gamma KL(pi_ref || pi_theta). *)
Definition regularised (P : problem) (o : objective) (gamma : R) : objective := {|
  val := fun x a => val o x a - gamma * KL (prompt_at P x) a;
  val' := fun x b a => val' o x b a - gamma * KL' (prompt_at P x) b a;
  val'' := fun x b c a => val'' o x b c a - gamma * fisher2 (prompt_at P x) a b c |}.

(** SAIL. *)
Definition sail (P : problem) : objective := {|
  val := fun x => J (prompt_at P x); val' := fun x => J' (prompt_at P x); val'' := fun x => J'' (prompt_at P x) |}.
Definition J_gamma (P : problem) (gamma : R) : vec -> R := total P (regularised P (sail P) gamma).

Section Objectives.
Variable P : problem.
Hypothesis VP : valid P.
Notation d := (dim P). Notation n := (prompts P).

Lemma E_linear : forall Q x, linear (responses Q) (E Q x).
Proof.
  intros Q x; split.
  - intros. rewrite E_plus, E_scal; reflexivity.
  - intros; now apply E_ext.
Qed.

Lemma score_combine : forall Q x a b s k, score Q x (fun k => a k + s * b k) k = score Q x a k + s * score Q x b k.
Proof. intros; unfold score; rewrite E_plus, E_scal; ring. Qed.

Lemma score_reads : forall Q x a b, (forall k, (k < responses Q)%nat -> a k = b k) ->
  forall k, (k < responses Q)%nat -> score Q x a k = score Q x b k.
Proof. intros; unfold score; rewrite (E_ext Q x a b), H; auto. Qed.

Lemma fisher2_linear : forall Q x c, linear (responses Q) (fun b => fisher2 Q x b c).
Proof.
  intros Q x c; split.
  - intros a b s; unfold fisher2.
    rewrite (E_ext Q x _ (fun k => score Q x a k * score Q x c k + s * (score Q x b k * score Q x c k))).
    + rewrite E_plus, E_scal; reflexivity.
    + intros; rewrite score_combine; ring.
  - intros a b H; unfold fisher2; apply E_ext; intros k Hk; rewrite (score_reads Q x a b H k Hk); reflexivity.
Qed.

Lemma fisher2_sym : forall Q x b c, fisher2 Q x b c = fisher2 Q x c b.
Proof. intros; apply E_ext; intros; ring. Qed.

Lemma KL'_linear : forall Q a, linear (responses Q) (fun b => KL' Q b a).
Proof.
  intros Q a; split; unfold KL'; intros.
  - rewrite !E_plus, !E_scal; ring.
  - rewrite (E_ext Q a a0 b H), (E_ext Q (ref Q) a0 b H); reflexivity.
Qed.

Lemma J'_linear : forall Q a, linear (responses Q) (fun b => J' Q b a).
Proof.
  intros Q a; split; unfold J'; intros.
  - rewrite <- E2_scal, <- E2_plus; apply E2_ext; intros.
    unfold plus_score, minus_score; rewrite !score_combine; ring.
  - apply E2_ext; intros; unfold plus_score, minus_score; rewrite !(score_reads Q a a0 b H), !H; auto.
Qed.

Lemma J''_linear : forall Q a c, linear (responses Q) (fun b => J'' Q b c a).
Proof.
  intros Q a c; split; unfold J''; intros.
  - rewrite (proj1 (fisher2_linear Q a c)).
    match goal with |- _ = ?X - ?Y + s * (?X' - ?Y') => transitivity ((X + s * X') - (Y + s * Y')); [|ring] end.
    f_equal; [|ring]. rewrite <- E2_scal, <- E2_plus; apply E2_ext; intros.
    unfold plus_score, minus_score; rewrite !score_combine; ring.
  - rewrite (proj2 (fisher2_linear Q a c) a0 b H). f_equal.
    apply E2_ext; intros; unfold plus_score, minus_score; rewrite !(score_reads Q a a0 b H), !H; auto.
Qed.

Lemma J''_sym : forall Q a b c, J'' Q b c a = J'' Q c b a.
Proof. intros; unfold J''; rewrite fisher2_sym; f_equal; apply E2_ext; intros; ring. Qed.

Theorem sail_valid : valid_objective P (sail P).
Proof.
  constructor; intros; simpl.
  - apply C01; now apply prompt_valid.
  - apply C02; now apply prompt_valid.
  - apply (J'_linear (prompt_at P x)).
  - apply (J''_linear (prompt_at P x)).
  - apply J''_sym.
Qed.

Lemma linear_minus : forall m f g s, linear m f -> linear m g -> linear m (fun b => f b - s * g b).
Proof.
  intros m f g s [F1 F2] [G1 G2]; split; intros.
  - rewrite F1, G1; ring.
  - rewrite (F2 a b), (G2 a b); auto.
Qed.

Theorem regularised_valid : forall o gamma, valid_objective P o -> valid_objective P (regularised P o gamma).
Proof.
  intros o gamma V; constructor; intros x Hx; simpl; intros.
  - apply (is_derive_minus (fun t => val o x (line a b t)) (fun t => gamma * KL (prompt_at P x) (line a b t))).
    + now apply (first_derivative P o V).
    + apply is_derive_scal, C07_gradient; now apply prompt_valid.
  - apply (is_derive_minus (fun t => val' o x b (line a c t)) (fun t => gamma * KL' (prompt_at P x) b (line a c t))).
    + now apply (second_derivative P o V).
    + apply is_derive_scal, C07; now apply prompt_valid.
  - apply linear_minus; [now apply (first_linear P o V)|apply (KL'_linear (prompt_at P x))].
  - apply linear_minus; [now apply (second_linear P o V)|apply (fisher2_linear (prompt_at P x))].
  - rewrite (second_symmetric P o V x Hx), (fisher2_sym _ a b c); reflexivity.
Qed.

Section One.
Variable o : objective.
Hypothesis VO : valid_objective P o.

(** v . grad is the derivative along v; v^T Hess w is the derivative of v . grad along w. *)
Lemma gradient_direction : forall th v, dot d (gradient P o th) v
  = Sum n (fun x => weight P x * val' o x (logit P v x) (logit P th x)).
Proof.
  intros; unfold dot, gradient. symmetry.
  transitivity (Sum n (fun x => Sum d (fun i => v i * (weight P x * val' o x (fun k => feature P x k i) (logit P th x))))).
  - apply Sum_ext; intros x Hx.
    pose proof (linear_sum _ _ (first_linear P o VO x Hx (logit P th x)) d v (fun i k => feature P x k i)) as L; cbv beta in L.
    change (logit P v x) with (fun k => Sum d (fun i => v i * feature P x k i)). rewrite L, <- Sum_scal.
    apply Sum_ext; intros; ring.
  - rewrite Sum_swap; apply Sum_ext; intros; rewrite Sum_scal; ring.
Qed.

Lemma curvature_entries : forall th v w, curvature P o th v w
  = Sum d (fun i => v i * Sum d (fun j => hessian P o th i j * w j)).
Proof.
  intros; unfold curvature, hessian.
  transitivity (Sum n (fun x => Sum d (fun i => v i * Sum d (fun j => weight P x * val'' o x (fun k => feature P x k i) (fun k => feature P x k j) (logit P th x) * w j)))).
  - apply Sum_ext; intros x Hx.
    pose proof (linear_sum _ _ (second_linear P o VO x Hx (logit P th x) (logit P w x)) d v (fun i k => feature P x k i)) as L; cbv beta in L.
    change (logit P v x) with (fun k => Sum d (fun i => v i * feature P x k i)). rewrite L, <- Sum_scal.
    apply Sum_ext; intros i Hi.
    rewrite (second_symmetric P o VO x Hx).
    pose proof (linear_sum _ _ (second_linear P o VO x Hx (logit P th x) (fun k => feature P x k i)) d w (fun j k => feature P x k j)) as L2; cbv beta in L2.
    change (logit P w x) with (fun k => Sum d (fun j => w j * feature P x k j)). rewrite L2.
    rewrite <- !Sum_scal. apply Sum_ext; intros j Hj. rewrite (second_symmetric P o VO x Hx); ring.
  - rewrite Sum_swap; apply Sum_ext; intros i Hi. rewrite Sum_scal; f_equal.
    rewrite Sum_swap; apply Sum_ext; intros; rewrite Sum_scal_r; reflexivity.
Qed.

Theorem total_derive : forall th v t,
  is_derive (fun t => total P o (ray th v t)) t (dot d (gradient P o (ray th v t)) v).
Proof.
  intros; rewrite gradient_direction; unfold total.
  apply (Sum_derive n (fun x t => weight P x * val o x (logit P (ray th v t) x))
    (fun x => weight P x * val' o x (logit P v x) (logit P (ray th v t) x))).
  intros x Hx; apply is_derive_scal.
  eapply is_derive_ext; [intros; rewrite logit_ray; reflexivity|].
  rewrite logit_ray; now apply (first_derivative P o VO).
Qed.

Theorem gradient_derive : forall th v w t,
  is_derive (fun t => dot d (gradient P o (ray th w t)) v) t (curvature P o (ray th w t) v w).
Proof.
  intros. eapply is_derive_ext; [intros s; symmetry; apply gradient_direction|]. unfold curvature.
  apply (Sum_derive n (fun x t => weight P x * val' o x (logit P v x) (logit P (ray th w t) x))
    (fun x => weight P x * val'' o x (logit P v x) (logit P w x) (logit P (ray th w t) x))).
  intros x Hx; apply is_derive_scal.
  eapply is_derive_ext; [intros; rewrite logit_ray; reflexivity|].
  rewrite logit_ray; now apply (second_derivative P o VO).
Qed.

(** What no policy can tell apart has one value. *)
Lemma total_same : forall a b, same d a b -> total P o a = total P o b.
Proof. intros a b H; apply Sum_ext; intros x Hx; rewrite (logit_same P a b x H); reflexivity. Qed.
End One.

Lemma total_regularised : forall o gamma th, total P (regularised P o gamma) th = total P o th - gamma * mean_KL P th.
Proof. intros; unfold total, mean_KL; rewrite <- Sum_scal, <- Sum_minus; apply Sum_ext; intros; simpl; ring. Qed.

Lemma curvature_regularised : forall o gamma th v,
  curvature P (regularised P o gamma) th v v = curvature P o th v v - gamma * fisher_form P th v.
Proof.
  intros; unfold curvature, fisher_form; rewrite <- Sum_scal, <- Sum_minus; apply Sum_ext; intros; simpl.
  rewrite fisher2_diag; ring.
Qed.
End Objectives.
