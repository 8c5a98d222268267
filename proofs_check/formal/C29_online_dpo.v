(** C29. Online DPO with KL: gamma > 2 beta is enough. The field V - gamma grad KL(pi_ref || pi_theta),
    V = beta E[u Delta], is strongly monotone on C along S with modulus (gamma - 2 beta) e^{-DB} lambda_min(F(c)),
    and its variational inequality has one solution on C. One step: nothing is claimed for sequences. *)
Require Import Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
From Sail Require Import Sums Vectors Sigmoid Prompt Derivatives Ascent Problem Objectives C12_strong_concavity Monotone C36_no_score_term.
Open Scope R_scope.

Definition online_dpo (P : problem) : field := {|
  fld := fun x => dpo (prompt_at P x); fld' := fun x => dpo' (prompt_at P x) |}.

Lemma online_dpo_valid : forall P, valid P -> valid_field P (online_dpo P).
Proof.
  intros P VP; constructor; intros x Hx; simpl; intros.
  - apply no_score_derive; [now apply prompt_valid|apply log_sigma_derive2].
  - apply (no_score_linear (prompt_at P x)).
Qed.

Lemma online_dpo_bounded : forall P, valid P ->
  field_bounded P (online_dpo P) (2 * temperature P) (temperature P + (temperature P)^2).
Proof.
  intros P VP x th Hx Hth; simpl. pose proof (prompt_valid P VP x Hx) as VQ. pose proof (temperature_pos P VP) as T.
  split; intros; [now apply (C29_curvature (prompt_at P x) VQ)|now apply (dpo'_bilinear (prompt_at P x) VQ)].
Qed.

Theorem C29 : forall P, valid P -> forall gamma, 2 * temperature P < gamma ->
  let W := field_at P (field_with_KL P (online_dpo P) gamma) in
  strongly_monotone (dim P) (in_C P) W (modulus P (2 * temperature P) gamma) /\
  exists x, solution (dim P) (in_C P) W x /\ forall y, solution (dim P) (in_C P) W y -> same (dim P) x y.
Proof.
  intros P VP gamma Hg W. split.
  - exact (threshold_monotone P VP _ (online_dpo_valid P VP) _ _ gamma (online_dpo_bounded P VP) Hg).
  - exact (threshold_solution P VP _ (online_dpo_valid P VP) _ _ gamma (online_dpo_bounded P VP) Hg).
Qed.
