(** C02. The Hessian of J for one prompt: the form v^T (Hess J) w, and the pair form.

    [value''] is the derivative along w of the derivative along v, for any payoff G; [J''] is SAIL's.
    It does not change when a constant is taken from g (the score term with a baseline b). *)
Require Import Reals Lra Lia.
From Coquelicot Require Import Coquelicot.
From Sail Require Import Sums Sigmoid Prompt Derivatives C01_gradient.
Open Scope R_scope.

Definition value'' (Q : prompt) (G G1 G2 : R -> R) (b c x : nat -> R) : R :=
  E2 Q x (fun k l => payoff Q G x k l * (plus_score Q x b k l * plus_score Q x c k l)
    + beta Q * slope Q G1 x k l * (plus_score Q x b k l * minus_score c k l + minus_score b k l * plus_score Q x c k l)
    + (beta Q)^2 * payoff Q G2 x k l * (minus_score b k l * minus_score c k l))
  - 2 * value Q G x * fisher2 Q x b c.

Theorem C02_any_payoff : forall Q, valid_prompt Q -> forall G G1 G2,
  (forall z, is_derive G z (G1 z)) -> (forall z, is_derive G1 z (G2 z)) ->
  forall x b c t, is_derive (fun t => value' Q G G1 b (line x c t)) t (value'' Q G G1 G2 b c (line x c t)).
Proof.
  intros Q VQ G G1 G2 H1 H2 x b c t; unfold value'; evar_last.
  - apply (E2_derive Q VQ x c (fun k l t => payoff Q G (line x c t) k l * plus_score Q (line x c t) b k l
          + beta Q * slope Q G1 (line x c t) k l * minus_score b k l)
     (fun k l => (slope Q G1 (line x c t) k l * (beta Q * minus_score c k l) * plus_score Q (line x c t) b k l
         + payoff Q G (line x c t) k l * (- (2 * fisher2 Q (line x c t) b c)))
         + beta Q * minus_score b k l * (payoff Q G2 (line x c t) k l * (beta Q * minus_score c k l)))).
    intros k l Hk Hl.
    apply (is_derive_plus (fun t => payoff Q G (line x c t) k l * plus_score Q (line x c t) b k l)
       (fun t => beta Q * slope Q G1 (line x c t) k l * minus_score b k l)).
    + apply (is_derive_mult (fun t => payoff Q G (line x c t) k l) (fun t => plus_score Q (line x c t) b k l)).
      * now apply payoff_derive.
      * now apply plus_score_derive.
      * intros; apply Rmult_comm.
    + apply (is_derive_ext (fun t => (beta Q * minus_score b k l) * slope Q G1 (line x c t) k l)); [intros; R_ring|].
      apply is_derive_scal; now apply slope_derive.
  - unfold value'', value.
    transitivity (E2 Q (line x c t) (fun k l =>
      (payoff Q G (line x c t) k l * (plus_score Q (line x c t) b k l * plus_score Q (line x c t) c k l)
       + beta Q * slope Q G1 (line x c t) k l * (plus_score Q (line x c t) b k l * minus_score c k l + minus_score b k l * plus_score Q (line x c t) c k l)
       + (beta Q)^2 * payoff Q G2 (line x c t) k l * (minus_score b k l * minus_score c k l))
      + (- 2 * fisher2 Q (line x c t) b c) * payoff Q G (line x c t) k l)).
    + apply E2_ext; intros; ring.
    + rewrite E2_plus, E2_scal; ring.
Qed.

(** The form in one direction. *)
Lemma value''_diag : forall Q, valid_prompt Q -> forall G G1 G2 b x, value'' Q G G1 G2 b b x =
  E2 Q x (fun k l => payoff Q G x k l * (plus_score Q x b k l)^2
    + 2 * beta Q * slope Q G1 x k l * plus_score Q x b k l * minus_score b k l
    + (beta Q)^2 * payoff Q G2 x k l * (minus_score b k l)^2)
  - 2 * value Q G x * fisher Q x b.
Proof.
  intros; unfold value''. rewrite fisher2_diag. f_equal. apply E2_ext; intros; ring.
Qed.

Lemma value''_shift : forall Q, valid_prompt Q -> forall G G1 G2 b x c, value'' Q G G1 G2 b b x =
  E2 Q x (fun k l => (payoff Q G x k l - c) * (plus_score Q x b k l)^2
    + 2 * beta Q * slope Q G1 x k l * plus_score Q x b k l * minus_score b k l
    + (beta Q)^2 * payoff Q G2 x k l * (minus_score b k l)^2)
  + 2 * (c - value Q G x) * fisher Q x b.
Proof.
  intros Q VQ G G1 G2 b x c; rewrite value''_diag by auto.
  set (A := fun k l => payoff Q G x k l * (plus_score Q x b k l)^2
      + 2 * beta Q * slope Q G1 x k l * plus_score Q x b k l * minus_score b k l
      + (beta Q)^2 * payoff Q G2 x k l * (minus_score b k l)^2).
  rewrite (E2_ext Q x (fun k l => (payoff Q G x k l - c) * _ + _ + _)
    (fun k l => A k l + (- c) * (plus_score Q x b k l)^2)); [|intros; unfold A; ring].
  change (E2 Q x A - 2 * value Q G x * fisher Q x b
    = E2 Q x (fun k l => A k l + (- c) * (plus_score Q x b k l)^2) + 2 * (c - value Q G x) * fisher Q x b).
  rewrite E2_plus, E2_scal, (E2_plus2 Q VQ). ring.
Qed.

(** SAIL: A + C + D of the page, as a form. *)
Definition J'' (Q : prompt) (b c x : nat -> R) : R :=
  E2 Q x (fun k l => payoff Q log_sigma x k l * (plus_score Q x b k l * plus_score Q x c k l)
    + beta Q * u Q x k l * (plus_score Q x b k l * minus_score c k l + minus_score b k l * plus_score Q x c k l)
    - (beta Q)^2 * sigma' (margin Q x k l) * (minus_score b k l * minus_score c k l))
  - 2 * J Q x * fisher2 Q x b c.

Lemma J''_value'' : forall Q, valid_prompt Q -> forall b c x,
  J'' Q b c x = value'' Q log_sigma (fun z => sigma (- z)) (fun z => - sigma' z) b c x.
Proof.
  intros Q VQ b c x; unfold J'', value'', J; f_equal. apply E2_ext; intros.
  rewrite slope_sail, payoff_sail_even; auto; ring.
Qed.

Theorem C02 : forall Q, valid_prompt Q -> forall x b c t,
  is_derive (fun t => J' Q b (line x c t)) t (J'' Q b c (line x c t)).
Proof.
  intros Q VQ x b c t; rewrite J''_value'' by auto.
  eapply is_derive_ext; [intros s; symmetry; apply J'_value'; auto|].
  apply C02_any_payoff; auto; [apply log_sigma_derive|apply log_sigma_derive2].
Qed.

(** With any baseline c in the score term. *)
Theorem C02_baseline : forall Q, valid_prompt Q -> forall b x c, J'' Q b b x =
  E2 Q x (fun k l => (payoff Q log_sigma x k l - c) * ((plus_score Q x b k l)^2 - 2 * fisher Q x b)
    + 2 * beta Q * u Q x k l * (plus_score Q x b k l * minus_score b k l)
    - (beta Q)^2 * sigma' (margin Q x k l) * (minus_score b k l)^2).
Proof.
  intros Q VQ b x c; rewrite J''_value'', (value''_shift Q VQ _ _ _ b x c) by auto.
  fold (J Q x).
  set (A := fun k l => (payoff Q log_sigma x k l - c) * (plus_score Q x b k l)^2
      + 2 * beta Q * slope Q (fun z => sigma (- z)) x k l * plus_score Q x b k l * minus_score b k l
      + (beta Q)^2 * payoff Q (fun z => - sigma' z) x k l * (minus_score b k l)^2).
  transitivity (E2 Q x (fun k l => A k l + (- 2 * fisher Q x b) * (payoff Q log_sigma x k l - c))).
  - rewrite E2_plus, E2_scal, (E2_minus Q x (payoff Q log_sigma x)), (E2_const Q VQ).
    fold (value Q log_sigma x); fold (J Q x). ring.
  - apply E2_ext; intros; unfold A; rewrite slope_sail, payoff_sail_even by auto; ring.
Qed.

(** The pair form, for any payoff: with a constant c taken from G, X = G + beta G', f = E_l X,
    eta_kl = 4 (f_k + f_l) - 6 E f - 2 G_kl + 2 beta^2 G''_kl. *)
Section PairForm.
Variable Q : prompt.
Hypothesis VQ : valid_prompt Q.
Variables G G1 G2 : R -> R.
Variable c : R.
Notation m := (responses Q). Notation b_ := (beta Q).
Notation E := (E Q). Notation E2 := (E2 Q). Notation s := (score Q).

Definition shifted (x : nat -> R) (k l : nat) : R := payoff Q G x k l - c.
Definition effect (x : nat -> R) (k : nat) : R := E x (fun l => shifted x k l + b_ * slope Q G1 x k l).
Definition pair_curvature (x : nat -> R) (k l : nat) : R :=
  4 * (effect x k + effect x l) - 6 * E x (effect x) - 2 * shifted x k l + 2 * b_^2 * payoff Q G2 x k l.

Theorem C02_pair_form : forall x b,
  value'' Q G G1 G2 b b x = / 2 * E2 x (fun k l => pair_curvature x k l * (minus_score b k l)^2).
Proof.
  intros x b.
  rewrite (value''_shift Q VQ G G1 G2 b x c).
  set (g := shifted x). set (v := slope Q G1 x).
  set (A1 := E2 x (fun k l => g k l * (s x b k)^2)).
  set (A2 := E2 x (fun k l => g k l * (s x b k * s x b l))).
  set (A3 := E2 x (fun k l => v k l * (s x b k)^2)).
  set (A4 := E2 x (fun k l => payoff Q G2 x k l * (minus_score b k l)^2)).
  set (Jt := E2 x g).
  assert (A1' : E2 x (fun k l => g k l * (s x b l)^2) = A1).
  { rewrite E2_sym; apply E2_ext; intros; unfold g, shifted; rewrite (payoff_sym Q G x l k); reflexivity. }
  assert (anti : forall f, E2 x (fun k l => v k l * f l) = - E2 x (fun k l => v k l * f k)).
  { intros f; rewrite E2_sym. transitivity (-1 * E2 x (fun k l => v k l * f k)); [|ring].
    rewrite <- E2_scal. apply E2_ext; intros; unfold v; rewrite (slope_anti Q G1 x k l); ring. }
  assert (A3' : E2 x (fun k l => v k l * (s x b l)^2) = - A3) by apply (anti (fun k => (s x b k)^2)).
  assert (Eu : E2 x v = 0).
  { pose proof (anti (fun _ => 1)) as H.
    assert (One : E2 x (fun k l => v k l * 1) = E2 x v) by (apply E2_ext; intros; ring).
    cbv beta in H; lra. }
  assert (fbar : E x (effect x) = Jt).
  { unfold effect. change (E2 x (fun k l => g k l + b_ * v k l) = Jt). rewrite E2_plus, E2_scal, Eu; unfold Jt. ring. }
  assert (EJ : c - value Q G x = - Jt).
  { unfold Jt, g, shifted, value. rewrite E2_minus, (E2_const Q VQ). ring. }
  assert (fs : E x (fun k => effect x k * (s x b k)^2) = A1 + b_ * A3).
  { unfold A1, A3; rewrite <- E2_scal, <- E2_plus. unfold Prompt.E2, effect; apply E_ext; intros k Hk.
    rewrite Rmult_comm, <- E_scal. apply E_ext; intros; unfold g, v; ring. }
  transitivity (2 * A1 + 2 * A2 + 4 * b_ * A3 + b_^2 * A4 - 2 * Jt * fisher Q x b).
  { rewrite EJ.
    transitivity ((A1 + E2 x (fun k l => g k l * (s x b l)^2) + 2 * A2
       + 2 * b_ * A3 + (- 2 * b_) * E2 x (fun k l => v k l * (s x b l)^2) + b_^2 * A4) + 2 * (- Jt) * fisher Q x b);
      [|rewrite A1', A3'; ring].
    f_equal. unfold A1, A2, A3, A4. rewrite <- !E2_scal, <- !E2_plus.
    apply E2_ext; intros; unfold g, v, shifted, plus_score. rewrite (minus_score_eq Q x); ring. }
  assert (T1 : E2 x (fun k l => effect x k * (minus_score b k l)^2) = A1 + b_ * A3 + Jt * fisher Q x b).
  { transitivity (E2 x (fun k l => (effect x k * (s x b k)^2) + (effect x k * (s x b l)^2) + (-2) * ((effect x k * s x b k) * s x b l))).
    - apply E2_ext; intros; rewrite (minus_score_eq Q x); ring.
    - rewrite !E2_plus, E2_scal, !E2_prod, (score_mean Q VQ), fbar.
      rewrite (E2_l Q VQ x (fun k => effect x k * s x b k ^ 2)), fs. unfold fisher; ring. }
  assert (T2 : E2 x (fun k l => effect x l * (minus_score b k l)^2) = A1 + b_ * A3 + Jt * fisher Q x b).
  { rewrite <- T1. rewrite E2_sym; apply E2_ext; intros; unfold minus_score; ring. }
  assert (T3 : E2 x (fun k l => g k l * (minus_score b k l)^2) = 2 * A1 - 2 * A2).
  { transitivity (A1 + A1 + (-2) * A2); [|ring]. rewrite <- A1' at 2. unfold A1, A2.
    rewrite <- !E2_scal, <- !E2_plus; apply E2_ext; intros; rewrite (minus_score_eq Q x); ring. }
  transitivity (/ 2 * (4 * (A1 + b_ * A3 + Jt * fisher Q x b) + 4 * (A1 + b_ * A3 + Jt * fisher Q x b)
     + (- 6 * Jt) * (2 * fisher Q x b) + (-2) * (2 * A1 - 2 * A2) + (2 * b_^2) * A4)); [field|].
  f_equal. rewrite <- T1 at 1. rewrite <- T2, <- T3, <- (E2_minus2 Q VQ). unfold A4.
  rewrite <- !E2_scal, <- !E2_plus. apply E2_ext; intros; unfold pair_curvature; rewrite fbar; unfold g; ring.
Qed.

(** Hence a scalar condition, without eigenvalues: eta <= gam gives Hess <= gam F. *)
Corollary C02_pair_condition : forall x b gam,
  (forall k l, (k < m)%nat -> (l < m)%nat -> pair_curvature x k l <= gam) ->
  value'' Q G G1 G2 b b x <= gam * fisher Q x b.
Proof.
  intros x b gam H; rewrite C02_pair_form.
  assert (A : E2 x (fun k l => pair_curvature x k l * (minus_score b k l)^2) <= E2 x (fun k l => gam * (minus_score b k l)^2)).
  { apply (E2_le Q VQ); intros. apply Rmult_le_compat_r; [apply pow2_ge_0|auto]. }
  rewrite E2_scal, (E2_minus2 Q VQ) in A. lra.
Qed.
End PairForm.
