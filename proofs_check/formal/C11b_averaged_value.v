(** C11 with the averaged J in place of each prompt's J_x is false: two prompts, beta = 1, B = 4,
    theta_ref = (3.96, 0), weights 1/1000 and 999/1000; at theta = (-1.22, 3.8) in C, along (0.4, -0.92),
    the curvature exceeds (2 (b - J) + 2 beta^2 h) F at b = 0, h = 0.26202, admissible for every Z. *)
Require Import Reals Lra Lia Psatz List.
From Coquelicot Require Import Coquelicot.
From Sail Require Import Numbers Sums Vectors Sigmoid Prompt Derivatives C01_gradient C02_hessian C07_kl_hessian C11_relative_curvature C11_c_zero
  Problem Objectives C12_strong_concavity Evaluate.
Open Scope R_scope.

Definition averaged_instance : problem := {|
  dim := 2; prompts := 2;
  weight := fun x => match x with O => 1/1000 | _ => 999/1000 end;
  size := fun x => match x with O => 3%nat | _ => 1%nat end;
  feature := fun x k i => match x, k, i with
    | O, O, O => - (9/10) | O, S O, O => 9/10 | O, S (S O), O => 9/10 | O, S (S O), S O => 4/10 | _, _, _ => 0 end;
  measure := fun _ _ => 1;
  preference := fun x k l => match k, l with
    | O, S O => 1 | S O, O => 0 | S (S _), O => 1 | S (S _), S O => 1 | O, S (S _) => 0 | S O, S (S _) => 0 | _, _ => /2 end;
  temperature := 1;
  reference := fun i => match i with O => 396/100 | _ => 0 end;
  center := fun _ => 0; radius := 4 |}.
Definition bad_theta (i : nat) : R := match i with O => - (122/100) | _ => 38/10 end.
Definition bad_direction (i : nat) : R := match i with O => 4/10 | _ => - (92/100) end.

Lemma averaged_instance_valid : valid averaged_instance.
Proof.
  constructor.
  - intros [|x] Hx; simpl; lra.
  - simpl; lra.
  - intros x Hx. constructor.
    + destruct x; simpl; lia.
    + intros; simpl; lra.
    + intros k l Hk Hl; destruct x; simpl in *;
        destruct k as [|[|[|k]]]; try lia; destruct l as [|[|[|l]]]; try lia; lra.
    + intros k l Hk Hl; destruct x; simpl in *;
        destruct k as [|[|[|k]]]; try lia; destruct l as [|[|[|l]]]; try lia; lra.
  - simpl; lra.
  - simpl; lra.
Qed.

Lemma averaged_instance_full : forall v, in_S averaged_instance v.
Proof.
  intros v. set (P := averaged_instance).
  assert (D1 : in_S P (difference P 0 1 0)) by (apply span_in, in_differences; simpl; lia).
  assert (D2 : in_S P (difference P 0 2 1)) by (apply span_in, in_differences; simpl; lia).
  apply (span_ext 2 _ (fun i => (v O / (18/10)) * difference P 0 1 0 i + (v 1%nat / (4/10)) * difference P 0 2 1 i)).
  - intros [|[|i]] Hi; [| |lia]; unfold difference, vsub; simpl; field.
  - now apply span_combine.
Qed.

Lemma bad_theta_in_C : in_C averaged_instance bad_theta.
Proof.
  split; [|apply averaged_instance_full]. unfold norm2, dot, vsub, bad_theta; simpl. lra.
Qed.

Theorem C11b_instance :
  (2 * (0 - mean_J averaged_instance bad_theta) + 2 * (temperature averaged_instance)^2 * (26202/100000))
    * fisher_form averaged_instance bad_theta bad_direction
  < curvature averaged_instance (sail averaged_instance) bad_theta bad_direction bad_direction.
Proof. unfold averaged_instance, bad_theta, bad_direction. numbers. Qed.

Theorem C11b : ~ (forall P, valid P -> forall b h, admissible (z_max P) b h -> forall th v, in_C P th ->
  curvature P (sail P) th v v <= (2 * (b - mean_J P th) + 2 * (temperature P)^2 * h) * fisher_form P th v).
Proof.
  intros H.
  pose proof (H averaged_instance averaged_instance_valid 0 (26202/100000)
    (conj (log_sigma_neg _) (fun z _ => inner_0 z)) bad_theta bad_direction bad_theta_in_C) as U.
  pose proof C11b_instance. lra.
Qed.
