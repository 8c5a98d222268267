(** Derivatives along a line of logits x + t c: of the policy, expectations and scores. *)
Require Import Reals Lra Lia.
From Coquelicot Require Import Coquelicot.
From Sail Require Import Sums Sigmoid Prompt.
Open Scope R_scope.

Definition line (x c : nat -> R) (t : R) : nat -> R := fun k => x k + t * c k.

Ltac R_ring := match goal with |- ?a = ?b => change (@eq R a b) end; ring.

Section Derivatives.
Variable Q : prompt.
Hypothesis VQ : valid_prompt Q.
Variables x c : nat -> R.
Notation m := (responses Q). Notation nu := (base Q).
Notation at_ t := (line x c t).

Lemma weight_derive : forall k t, is_derive (fun t => nu k * exp (at_ t k)) t (nu k * exp (at_ t k) * c k).
Proof. intros; unfold line; auto_derive; [trivial|ring]. Qed.

Lemma partition_derive : forall t,
  is_derive (fun t => partition Q (at_ t)) t (partition Q (at_ t) * E Q (at_ t) c).
Proof.
  intros; evar_last.
  - apply (Sum_derive m (fun k t => nu k * exp (at_ t k)) (fun k => nu k * exp (at_ t k) * c k)).
    intros; apply weight_derive.
  - unfold E, pi. rewrite <- Sum_scal; apply Sum_ext; intros.
    pose proof (partition_pos Q VQ (at_ t)); field; lra.
Qed.

Lemma pi_derive : forall k t, is_derive (fun t => pi Q (at_ t) k) t (pi Q (at_ t) k * score Q (at_ t) c k).
Proof.
  intros; pose proof (partition_pos Q VQ (at_ t)).
  evar_last.
  - apply (is_derive_div (fun t => nu k * exp (at_ t k)) (fun t => partition Q (at_ t)) t);
      [apply weight_derive|apply partition_derive|lra].
  - unfold pi, score; simpl; field; lra.
Qed.

Lemma E_derive : forall (f : nat -> R -> R) (f' : nat -> R) t,
  (forall k, (k < m)%nat -> is_derive (f k) t (f' k)) ->
  is_derive (fun t => E Q (at_ t) (fun k => f k t)) t
    (E Q (at_ t) (fun k => f' k + f k t * score Q (at_ t) c k)).
Proof.
  intros; unfold E.
  evar_last.
  - apply (Sum_derive m (fun k t => pi Q (at_ t) k * f k t)
      (fun k => pi Q (at_ t) k * score Q (at_ t) c k * f k t + pi Q (at_ t) k * f' k)).
    intros; apply (is_derive_mult (fun t => pi Q (at_ t) k) (f k)); [apply pi_derive|auto|intros; apply Rmult_comm].
  - apply Sum_ext; intros; ring.
Qed.

Lemma E2_derive : forall (f : nat -> nat -> R -> R) (f' : nat -> nat -> R) t,
  (forall k l, (k < m)%nat -> (l < m)%nat -> is_derive (f k l) t (f' k l)) ->
  is_derive (fun t => E2 Q (at_ t) (fun k l => f k l t)) t
    (E2 Q (at_ t) (fun k l => f' k l + f k l t * plus_score Q (at_ t) c k l)).
Proof.
  intros; unfold E2; evar_last.
  - apply (E_derive (fun k t => E Q (at_ t) (fun l => f k l t))); intros.
    apply (E_derive (fun l t => f k l t) (fun l => f' k l)); intros; auto.
  - apply E_ext; intros; unfold plus_score.
    rewrite Rmult_comm, <- E_scal, <- E_plus; apply E_ext; intros; ring.
Qed.

(** d/dt E b = Cov(b, c), hence d/dt of the score. *)
Lemma mean_derive : forall b t, is_derive (fun t => E Q (at_ t) b) t (fisher2 Q (at_ t) b c).
Proof.
  intros; evar_last.
  - apply (E_derive (fun k _ => b k) (fun _ => 0)); intros; apply (is_derive_const (b k)).
  - transitivity (E Q (at_ t) (fun k => score Q (at_ t) b k * score Q (at_ t) c k + E Q (at_ t) b * score Q (at_ t) c k)).
    + apply E_ext; intros; unfold score; ring.
    + rewrite E_plus, E_scal, (score_mean Q VQ); unfold fisher2; ring.
Qed.

Lemma score_derive : forall b k t, is_derive (fun t => score Q (at_ t) b k) t (- fisher2 Q (at_ t) b c).
Proof.
  intros; unfold score; evar_last.
  - apply (is_derive_minus (fun _ => b k) (fun t => E Q (at_ t) b)); [apply is_derive_const|apply mean_derive].
  - change (0 - fisher2 Q (at_ t) b c = - fisher2 Q (at_ t) b c); ring.
Qed.

Lemma plus_score_derive : forall b k l t,
  is_derive (fun t => plus_score Q (at_ t) b k l) t (- (2 * fisher2 Q (at_ t) b c)).
Proof.
  intros; unfold plus_score; evar_last.
  - apply (is_derive_plus (fun t => score Q (at_ t) b k) (fun t => score Q (at_ t) b l)); apply score_derive.
  - unfold plus; simpl; R_ring.
Qed.

Lemma margin_derive : forall k l t, is_derive (fun t => margin Q (at_ t) k l) t (beta Q * minus_score c k l).
Proof. intros; unfold margin, line, minus_score; auto_derive; [trivial|ring]. Qed.

Lemma payoff_derive : forall G G1, (forall z, is_derive G z (G1 z)) -> forall k l t,
  is_derive (fun t => payoff Q G (at_ t) k l) t (slope Q G1 (at_ t) k l * (beta Q * minus_score c k l)).
Proof.
  intros G G1 HG k l t; unfold payoff; evar_last.
  - apply (is_derive_plus (fun t => pref Q k l * G (margin Q (at_ t) k l)) (fun t => pref Q l k * G (- margin Q (at_ t) k l))).
    + apply is_derive_scal.
      apply (is_derive_comp G (fun t => margin Q (at_ t) k l)); [apply HG|apply margin_derive].
    + apply is_derive_scal.
      apply (is_derive_comp G (fun t => - margin Q (at_ t) k l)); [apply HG|].
      apply (is_derive_opp (fun t => margin Q (at_ t) k l)); apply margin_derive.
  - unfold plus, scal, opp; simpl; unfold mult; simpl. unfold slope; R_ring.
Qed.

Lemma slope_derive : forall G1 G2, (forall z, is_derive G1 z (G2 z)) -> forall k l t,
  is_derive (fun t => slope Q G1 (at_ t) k l) t (payoff Q G2 (at_ t) k l * (beta Q * minus_score c k l)).
Proof.
  intros G1 G2 HG k l t; unfold slope; evar_last.
  - apply (is_derive_minus (fun t => pref Q k l * G1 (margin Q (at_ t) k l)) (fun t => pref Q l k * G1 (- margin Q (at_ t) k l))).
    + apply is_derive_scal.
      apply (is_derive_comp G1 (fun t => margin Q (at_ t) k l)); [apply HG|apply margin_derive].
    + apply is_derive_scal.
      apply (is_derive_comp G1 (fun t => - margin Q (at_ t) k l)); [apply HG|].
      apply (is_derive_opp (fun t => margin Q (at_ t) k l)); apply margin_derive.
  - unfold minus, plus, scal, opp; simpl; unfold mult; simpl. unfold payoff; R_ring.
Qed.
End Derivatives.
