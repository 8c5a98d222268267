(** C01. The gradient of J for one prompt, along every direction b = v . phi of every line.

    v . grad J = E[g (v . (s_1 + s_2))] + beta E[u (v . Delta)], for any payoff G with derivative G1;
    SAIL is G = log sigma, where the slope of the payoff is u = p_12 - sigma(z). *)
Require Import Reals Lra Lia.
From Coquelicot Require Import Coquelicot.
From Sail Require Import Sums Sigmoid Prompt Derivatives.
Open Scope R_scope.

Definition value' (Q : prompt) (G G1 : R -> R) (b x : nat -> R) : R :=
  E2 Q x (fun k l => payoff Q G x k l * plus_score Q x b k l
                     + beta Q * slope Q G1 x k l * minus_score b k l).

Theorem C01_any_payoff : forall Q, valid_prompt Q -> forall G G1, (forall z, is_derive G z (G1 z)) ->
  forall x b t, is_derive (fun t => value Q G (line x b t)) t (value' Q G G1 b (line x b t)).
Proof.
  intros Q VQ G G1 HG x b t; unfold value, value'; evar_last.
  - apply (E2_derive Q VQ x b (fun k l t => payoff Q G (line x b t) k l)
      (fun k l => slope Q G1 (line x b t) k l * (beta Q * minus_score b k l))).
    intros; now apply payoff_derive.
  - apply E2_ext; intros; ring.
Qed.

Definition J' (Q : prompt) (b x : nat -> R) : R :=
  E2 Q x (fun k l => payoff Q log_sigma x k l * plus_score Q x b k l
                     + beta Q * u Q x k l * minus_score b k l).

Lemma J'_value' : forall Q, valid_prompt Q -> forall b x,
  J' Q b x = value' Q log_sigma (fun z => sigma (- z)) b x.
Proof. intros; apply E2_ext; intros; rewrite slope_sail; auto. Qed.

Theorem C01 : forall Q, valid_prompt Q -> forall x b t,
  is_derive (fun t => J Q (line x b t)) t (J' Q b (line x b t)).
Proof. intros; rewrite J'_value' by auto; apply C01_any_payoff; auto; apply log_sigma_derive. Qed.
