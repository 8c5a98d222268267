(** One prompt: m responses, a base measure, a reference, preferences; policies by their logits.

    A policy is given by its vector of logits x, x k = theta . phi_k, and a direction v of R^d by
    b k = v . phi_k. So everything about one prompt is a statement about vectors of R^m. *)
Require Import Reals Lra Lia.
From Coquelicot Require Import Coquelicot.
From Sail Require Import Sums Sigmoid.
Open Scope R_scope.

Record prompt := {
  responses : nat;                  (* m *)
  base : nat -> R;                  (* nu, the base measure *)
  pref : nat -> nat -> R;           (* pref k l = P*(y_k beats y_l) *)
  ref : nat -> R;                   (* logits of the reference, theta_ref . phi_k *)
  beta : R }.

Record valid_prompt (Q : prompt) : Prop := {
  some_response : (0 < responses Q)%nat;
  base_pos : forall k, (k < responses Q)%nat -> 0 < base Q k;
  pref_sum : forall k l, (k < responses Q)%nat -> (l < responses Q)%nat -> pref Q k l + pref Q l k = 1;
  pref_nonneg : forall k l, (k < responses Q)%nat -> (l < responses Q)%nat -> 0 <= pref Q k l }.

Section Prompt.
Variable Q : prompt.
Notation m := (responses Q). Notation nu := (base Q). Notation p := (pref Q).

(** The policy, expectations over one and over two independent responses. *)
Definition partition (x : nat -> R) : R := Sum m (fun k => nu k * exp (x k)).
Definition pi (x : nat -> R) (k : nat) : R := nu k * exp (x k) / partition x.
Definition E (x : nat -> R) (f : nat -> R) : R := Sum m (fun k => pi x k * f k).
Definition E2 (x : nat -> R) (f : nat -> nat -> R) : R := E x (fun k => E x (fun l => f k l)).

(** Score v . (phi_k - E phi), Fisher form v^T F v = Var(v . phi), Fisher product v^T F w. *)
Definition score (x b : nat -> R) (k : nat) : R := b k - E x b.
Definition fisher (x b : nat -> R) : R := E x (fun k => (score x b k)^2).
Definition fisher2 (x b c : nat -> R) : R := E x (fun k => score x b k * score x c k).
(** P = v . (s_1 + s_2) and M = v . (s_1 - s_2) = v . Delta. *)
Definition plus_score (x b : nat -> R) (k l : nat) : R := score x b k + score x b l.
Definition minus_score (b : nat -> R) (k l : nat) : R := b k - b l.

(** z = beta (theta - theta_ref) . (phi_k - phi_l). *)
Definition margin (x : nat -> R) (k l : nat) : R := beta Q * ((x k - ref Q k) - (x l - ref Q l)).
(** A payoff G(z), averaged over the label: p_12 G(z) + p_21 G(-z), and its derivatives in z. *)
Definition payoff (G : R -> R) (x : nat -> R) (k l : nat) : R :=
  p k l * G (margin x k l) + p l k * G (- margin x k l).
Definition slope (G1 : R -> R) (x : nat -> R) (k l : nat) : R :=
  p k l * G1 (margin x k l) - p l k * G1 (- margin x k l).
Definition value (G : R -> R) (x : nat -> R) : R := E2 x (payoff G x).

(** SAIL: G = log sigma. *)
Definition J (x : nat -> R) : R := value log_sigma x.
Definition u (x : nat -> R) (k l : nat) : R := p k l - sigma (margin x k l).
(** KL(pi_ref || pi_theta). *)
Definition log_pi (x : nat -> R) (k : nat) : R := ln (pi x k).
Definition KL (x : nat -> R) : R := E (ref Q) (fun k => log_pi (ref Q) k - log_pi x k).

Hypothesis VQ : valid_prompt Q.
Let m_pos : (0 < m)%nat := some_response Q VQ.
Let nu_pos : forall k, (k < m)%nat -> 0 < nu k := base_pos Q VQ.

Lemma partition_pos : forall x, 0 < partition x.
Proof.
  intros; apply Sum_pos; [exact m_pos|]; intros.
  apply Rmult_lt_0_compat; [now apply nu_pos|apply exp_pos].
Qed.

Lemma pi_pos : forall x k, (k < m)%nat -> 0 < pi x k.
Proof.
  intros; unfold pi; apply Rdiv_lt_0_compat; [|apply partition_pos].
  apply Rmult_lt_0_compat; [now apply nu_pos|apply exp_pos].
Qed.

Lemma pi_sum : forall x, Sum m (pi x) = 1.
Proof.
  intros; unfold pi, Rdiv; rewrite Sum_scal_r; fold (partition x).
  pose proof (partition_pos x); field; lra.
Qed.

Lemma pi_le1 : forall x k, (k < m)%nat -> pi x k <= 1.
Proof.
  intros; rewrite <- (pi_sum x). apply (Sum_term_le m (pi x)); auto.
  intros; apply Rlt_le, pi_pos; auto.
Qed.

Lemma E_const : forall x c, E x (fun _ => c) = c.
Proof. intros; unfold E; rewrite Sum_scal_r, pi_sum; lra. Qed.

Lemma E_ext : forall x f g, (forall k, (k < m)%nat -> f k = g k) -> E x f = E x g.
Proof. intros; apply Sum_ext; intros; rewrite H; auto. Qed.

Lemma E_plus : forall x f g, E x (fun k => f k + g k) = E x f + E x g.
Proof. intros; unfold E; rewrite <- Sum_plus; apply Sum_ext; intros; ring. Qed.

Lemma E_minus : forall x f g, E x (fun k => f k - g k) = E x f - E x g.
Proof. intros; unfold E; rewrite <- Sum_minus; apply Sum_ext; intros; ring. Qed.

Lemma E_scal : forall x c f, E x (fun k => c * f k) = c * E x f.
Proof. intros; unfold E; rewrite <- Sum_scal; apply Sum_ext; intros; ring. Qed.

Lemma E_le : forall x f g, (forall k, (k < m)%nat -> f k <= g k) -> E x f <= E x g.
Proof.
  intros; apply Sum_le; intros; apply Rmult_le_compat_l; [apply Rlt_le, pi_pos; auto|auto].
Qed.

Lemma E2_ext : forall x f g,
  (forall k l, (k < m)%nat -> (l < m)%nat -> f k l = g k l) -> E2 x f = E2 x g.
Proof. intros; apply E_ext; intros; apply E_ext; intros; auto. Qed.

Lemma E2_le : forall x f g,
  (forall k l, (k < m)%nat -> (l < m)%nat -> f k l <= g k l) -> E2 x f <= E2 x g.
Proof. intros; apply E_le; intros; apply E_le; intros; auto. Qed.

Lemma E2_plus : forall x f g, E2 x (fun k l => f k l + g k l) = E2 x f + E2 x g.
Proof. intros; unfold E2; rewrite <- E_plus; apply E_ext; intros; apply E_plus. Qed.

Lemma E2_minus : forall x f g, E2 x (fun k l => f k l - g k l) = E2 x f - E2 x g.
Proof. intros; unfold E2; rewrite <- E_minus; apply E_ext; intros; apply E_minus. Qed.

Lemma E2_scal : forall x c f, E2 x (fun k l => c * f k l) = c * E2 x f.
Proof. intros; unfold E2; rewrite <- E_scal; apply E_ext; intros; apply E_scal. Qed.

Lemma E2_const : forall x c, E2 x (fun _ _ => c) = c.
Proof. intros; unfold E2; rewrite (E_ext x _ (fun _ => c)); [|intros]; apply E_const. Qed.

Lemma E2_l : forall x f, E2 x (fun k _ => f k) = E x f.
Proof. intros; unfold E2; apply E_ext; intros; apply E_const. Qed.

Lemma E2_r : forall x f, E2 x (fun _ l => f l) = E x f.
Proof. intros; unfold E2; apply E_const. Qed.

Lemma E2_prod : forall x f g, E2 x (fun k l => f k * g l) = E x f * E x g.
Proof.
  intros; unfold E2.
  transitivity (E x (fun k => E x g * f k)).
  - apply E_ext; intros; rewrite E_scal; ring.
  - rewrite E_scal; ring.
Qed.

Lemma E2_sym : forall x f, E2 x f = E2 x (fun k l => f l k).
Proof.
  intros; unfold E2, E.
  transitivity (Sum m (fun k => Sum m (fun l => pi x k * (pi x l * f k l)))).
  - apply Sum_ext; intros; rewrite Sum_scal; reflexivity.
  - rewrite Sum_swap; apply Sum_ext; intros; rewrite <- Sum_scal; apply Sum_ext; intros; ring.
Qed.

Lemma score_mean : forall x b, E x (score x b) = 0.
Proof. intros; unfold score; rewrite (E_minus x b (fun _ => E x b)), E_const; ring. Qed.

Lemma fisher_nonneg : forall x b, 0 <= fisher x b.
Proof.
  intros; unfold fisher; rewrite <- (E_const x 0). apply E_le; intros; apply pow2_ge_0.
Qed.

Lemma fisher2_diag : forall x b, fisher2 x b b = fisher x b.
Proof. intros; unfold fisher2, fisher; apply E_ext; intros; ring. Qed.

Lemma minus_score_eq : forall x b k l, minus_score b k l = score x b k - score x b l.
Proof. intros; unfold minus_score, score; ring. Qed.

(** E P^2 = E M^2 = 2 v^T F v. *)
Lemma E2_plus2 : forall x b, E2 x (fun k l => (plus_score x b k l)^2) = 2 * fisher x b.
Proof.
  intros; unfold plus_score.
  transitivity (E2 x (fun k l => ((score x b k)^2 + (score x b l)^2) + 2 * (score x b k * score x b l))).
  - apply E2_ext; intros; ring.
  - rewrite !E2_plus, E2_scal, E2_prod, score_mean.
    rewrite (E2_l x (fun k => score x b k ^ 2)), (E2_r x (fun k => score x b k ^ 2)).
    unfold fisher; ring.
Qed.

Lemma E2_minus2 : forall x b, E2 x (fun k l => (minus_score b k l)^2) = 2 * fisher x b.
Proof.
  intros.
  transitivity (E2 x (fun k l => ((score x b k)^2 + (score x b l)^2) + (-2) * (score x b k * score x b l))).
  - apply E2_ext; intros; rewrite (minus_score_eq x); ring.
  - rewrite !E2_plus, E2_scal, E2_prod, score_mean.
    rewrite (E2_l x (fun k => score x b k ^ 2)), (E2_r x (fun k => score x b k ^ 2)).
    unfold fisher; ring.
Qed.

(** The variance is the least mean square distance to a constant. *)
Lemma fisher_min : forall x b c, fisher x b <= E x (fun k => (b k - c)^2).
Proof.
  intros.
  apply Rle_trans with (fisher x b + (E x b - c)^2).
  - pose proof (pow2_ge_0 (E x b - c)); lra.
  - apply Req_le; unfold fisher.
    rewrite (E_ext x (fun k => (b k - c)^2)
      (fun k => (score x b k)^2 + ((2 * (E x b - c)) * score x b k + (E x b - c)^2)));
      [|intros; unfold score; ring].
    rewrite !E_plus, E_scal, score_mean, E_const. ring.
Qed.

(** Popoviciu: the variance of what varies by at most w is at most w^2/4. *)
Lemma fisher_popoviciu : forall x b w,
  (forall j l, (j < m)%nat -> (l < m)%nat -> Rabs (b j - b l) <= w) -> fisher x b <= w^2 / 4.
Proof.
  intros x b w Hw.
  destruct (Sum_argmin m b m_pos) as [i [Hi Him]].
  assert (W0 : 0 <= w) by (pose proof (Hw i i Hi Hi) as H; rewrite Rminus_eq_0, Rabs_R0 in H; exact H).
  eapply Rle_trans; [apply (fisher_min x b (b i + w / 2))|].
  rewrite <- (E_const x (w^2/4)). apply E_le; intros k Hk.
  pose proof (Him k Hk). pose proof (Hw k i Hk Hi) as H0. apply Rabs_le_between in H0. nra.
Qed.

(** A single pair is seen by the Fisher form. *)
Lemma fisher_sees : forall x b k l, (k < m)%nat -> (l < m)%nat ->
  pi x k * pi x l * (b k - b l)^2 <= 2 * fisher x b.
Proof.
  intros x b k l Hk Hl. rewrite <- E2_minus2. unfold E2, E, minus_score.
  assert (P : forall i, (i < m)%nat -> 0 < pi x i) by (intros; now apply pi_pos).
  apply Rle_trans with (pi x k * Sum m (fun j => pi x j * (b k - b j)^2)).
  - rewrite Rmult_assoc. apply Rmult_le_compat_l; [left; auto|].
    apply (Sum_term_le m (fun j => pi x j * (b k - b j)^2)); auto.
    intros j Hj; apply Rmult_le_pos; [left; auto|apply pow2_ge_0].
  - apply (Sum_term_le m (fun i => pi x i * Sum m (fun j => pi x j * (b i - b j)^2))); auto.
    intros i Hi; apply Rmult_le_pos; [left; auto|].
    apply Sum_nonneg; intros j Hj; apply Rmult_le_pos; [left; auto|apply pow2_ge_0].
Qed.

Lemma margin_anti : forall x k l, margin x l k = - margin x k l.
Proof. intros; unfold margin; ring. Qed.

Lemma payoff_sym : forall G x k l, payoff G x k l = payoff G x l k.
Proof. intros; unfold payoff. rewrite (margin_anti x k l), Ropp_involutive; ring. Qed.

Lemma slope_anti : forall G1 x k l, slope G1 x l k = - slope G1 x k l.
Proof. intros; unfold slope. rewrite (margin_anti x k l), Ropp_involutive; ring. Qed.

Lemma slope_sail : forall x k l, (k < m)%nat -> (l < m)%nat ->
  slope (fun z => sigma (- z)) x k l = u x k l.
Proof.
  intros x k l Hk Hl; unfold slope, u. rewrite Ropp_involutive, sigma_opp.
  pose proof (pref_sum Q VQ k l Hk Hl) as H. replace (p l k) with (1 - p k l) by lra. ring.
Qed.

Lemma payoff_sail_even : forall x k l, (k < m)%nat -> (l < m)%nat ->
  payoff (fun z => - sigma' z) x k l = - sigma' (margin x k l).
Proof.
  intros x k l Hk Hl; unfold payoff. rewrite sigma'_even.
  pose proof (pref_sum Q VQ k l Hk Hl) as H. replace (p l k) with (1 - p k l) by lra. ring.
Qed.

Lemma pref_01 : forall k l, (k < m)%nat -> (l < m)%nat -> 0 <= p k l <= 1.
Proof.
  intros k l Hk Hl. pose proof (pref_sum Q VQ k l Hk Hl).
  pose proof (pref_nonneg Q VQ k l Hk Hl). pose proof (pref_nonneg Q VQ l k Hl Hk). lra.
Qed.

Lemma log_pi_eq : forall x k, (k < m)%nat -> log_pi x k = ln (nu k) + x k - ln (partition x).
Proof.
  intros x k Hk; unfold log_pi, pi. pose proof (partition_pos x). pose proof (nu_pos k Hk).
  unfold Rdiv; rewrite ln_mult, ln_mult, ln_exp, ln_Rinv; auto; try apply exp_pos.
  - apply Rmult_lt_0_compat; auto; apply exp_pos.
  - now apply Rinv_0_lt_compat.
Qed.

(** z is beta times the difference of log(pi/pi_ref): the partition functions cancel. *)
Lemma margin_log_ratio : forall x k l, (k < m)%nat -> (l < m)%nat ->
  margin x k l = beta Q * ((log_pi x k - log_pi (ref Q) k) - (log_pi x l - log_pi (ref Q) l)).
Proof. intros; unfold margin; rewrite !log_pi_eq by auto; ring. Qed.

Lemma margin_ref : forall k l, margin (ref Q) k l = 0.
Proof. intros; unfold margin; ring. Qed.
End Prompt.
