(** A problem as data: exact rationals, checked by computation. From the checks, a rational bound Z of the
    margins on C and rational b, h with inner b <= h on [-Z, Z], the conclusions of C12 and C15 follow. *)
Require Import Reals QArith Qreals Lra Lia Psatz List Bool.
From Coquelicot Require Import Coquelicot.
From Sail Require Import Numbers Sums Vectors Sigmoid Prompt C11_relative_curvature Ascent Problem Objectives C12_strong_concavity C13_pl
  C15_projected_ascent C25_data_dependent.
Import ListNotations.
Open Scope R_scope.

Inductive preferences := Matrix (rows : list (list Q)) | Rewards (r : list Q).
Record prompt_data := { weight_q : Q; features_q : list (list Q); base_q : list Q; preferences_q : preferences }.
Record data := {
  dim_q : nat; beta_q : Q; radius_q : Q; reference_q : list Q; center_q : list Q; prompts_q : list prompt_data }.

Definition entry (l : list Q) (i : nat) : Q := nth i l 0%Q.
Definition no_prompt : prompt_data := {| weight_q := 0; features_q := nil; base_q := nil; preferences_q := Rewards nil |}.
Definition prompt_q (D : data) (x : nat) : prompt_data := nth x (prompts_q D) no_prompt.
Definition feature_q (D : data) (x k i : nat) : Q := entry (nth k (features_q (prompt_q D x)) nil) i.
Definition size_q (D : data) (x : nat) : nat := length (features_q (prompt_q D x)).

(** The problem that the data state. Weights are normalised; rewards are Bradley-Terry. *)
Definition problem_of (D : data) : problem := {|
  dim := dim_q D; prompts := length (prompts_q D);
  weight := fun x => Q2R (weight_q (prompt_q D x)) / Sum (length (prompts_q D)) (fun y => Q2R (weight_q (prompt_q D y)));
  size := size_q D;
  feature := fun x k i => Q2R (feature_q D x k i);
  measure := fun x k => Q2R (entry (base_q (prompt_q D x)) k);
  preference := fun x k l => match preferences_q (prompt_q D x) with
    | Matrix rows => Q2R (entry (nth k rows nil) l)
    | Rewards r => sigma (Q2R (entry r k) - Q2R (entry r l)) end;
  temperature := Q2R (beta_q D);
  reference := fun i => Q2R (entry (reference_q D) i);
  center := fun i => Q2R (entry (center_q D) i);
  radius := Q2R (radius_q D) |}.

(** * Checks by computation *)
Definition all_below (n : nat) (f : nat -> bool) : bool := forallb f (seq 0 n).
Definition positive (q : Q) : bool := negb (Qle_bool q 0).

Definition check_preferences (m : nat) (p : preferences) : bool := match p with
  | Rewards _ => true
  | Matrix rows => all_below m (fun k => all_below m (fun l =>
      Qeq_bool (entry (nth k rows nil) l + entry (nth l rows nil) k) 1 && Qle_bool 0 (entry (nth k rows nil) l))) end.
Definition check_prompt (p : prompt_data) : bool :=
  positive (weight_q p) && negb (Nat.eqb (length (features_q p)) 0)
  && all_below (length (features_q p)) (fun k => positive (entry (base_q p) k))
  && check_preferences (length (features_q p)) (preferences_q p).
Definition check_data (D : data) : bool :=
  negb (Nat.eqb (length (prompts_q D)) 0) && positive (beta_q D) && Qle_bool 0 (radius_q D)
  && all_below (length (prompts_q D)) (fun x => check_prompt (prompt_q D x)).

(** Z bounds every margin: with t = Z - beta (c - theta_ref) . Delta, t >= 0 and (beta B)^2 |Delta|^2 <= t^2. *)
Fixpoint qsum (n : nat) (f : nat -> Q) : Q := match n with O => 0 | S k => Qred (qsum k f + f k) end%Q.
Definition delta_q (D : data) (x k l i : nat) : Q := (feature_q D x k i - feature_q D x l i)%Q.
Definition check_pair (D : data) (Z : Q) (x k l : nat) : bool :=
  let offset := qsum (dim_q D) (fun i => (entry (center_q D) i - entry (reference_q D) i) * delta_q D x k l i)%Q in
  let square := qsum (dim_q D) (fun i => delta_q D x k l i * delta_q D x k l i)%Q in
  let t := Qred (Z - beta_q D * offset)%Q in
  Qle_bool 0 t && Qle_bool (beta_q D * radius_q D * (beta_q D * radius_q D) * square) (t * t).
Definition check_margins (D : data) (Z : Q) : bool :=
  Qle_bool 0 Z && all_below (length (prompts_q D)) (fun x =>
    all_below (size_q D x) (fun k => all_below (size_q D x) (fun l => check_pair D Z x k l))).

(** * What the checks show *)
Lemma all_below_spec : forall n f, all_below n f = true -> forall k, (k < n)%nat -> f k = true.
Proof. intros n f H k Hk; unfold all_below in H. rewrite forallb_forall in H. apply H, in_seq; lia. Qed.

Lemma Q2R_0 : Q2R 0 = 0. Proof. unfold Q2R; simpl; ring. Qed.
Lemma Q2R_1 : Q2R 1 = 1. Proof. unfold Q2R; simpl; field. Qed.

Lemma positive_spec : forall q, positive q = true -> 0 < Q2R q.
Proof.
  intros q H; unfold positive in H. rewrite <- Q2R_0. apply Qlt_Rlt.
  destruct (Qle_bool q 0) eqn:E; [discriminate|]. apply Qnot_le_lt. intros L. apply Qle_bool_iff in L. congruence.
Qed.

Lemma nonneg_spec : forall q, Qle_bool 0 q = true -> 0 <= Q2R q.
Proof. intros q H; rewrite <- Q2R_0; apply Qle_Rle, Qle_bool_iff, H. Qed.

Lemma Q2R_red : forall q, Q2R (Qred q) = Q2R q.
Proof. intros; apply Qeq_eqR, Qred_correct. Qed.

Lemma Q2R_sum : forall n f, Q2R (qsum n f) = Sum n (fun i => Q2R (f i)).
Proof.
  induction n; intros f; [apply Q2R_0|].
  change (Q2R (Qred (qsum n f + f n)) = Sum n (fun i => Q2R (f i)) + Q2R (f n)). rewrite Q2R_red, Q2R_plus, IHn; reflexivity.
Qed.

Ltac split_checks H := repeat (apply andb_prop in H; let H' := fresh "H" in destruct H as [H H']).

Theorem data_valid : forall D, check_data D = true -> valid (problem_of D).
Proof.
  intros D H; unfold check_data in H. split_checks H.
  assert (PC : forall x, (x < length (prompts_q D))%nat -> check_prompt (prompt_q D x) = true) by (apply all_below_spec; auto).
  assert (Wp : forall x, (x < length (prompts_q D))%nat -> 0 < Q2R (weight_q (prompt_q D x))).
  { intros x Hx. pose proof (PC x Hx) as C; unfold check_prompt in C. split_checks C. now apply positive_spec. }
  assert (N : (0 < length (prompts_q D))%nat) by (destruct (length (prompts_q D)); [discriminate|lia]).
  assert (T : 0 < Sum (length (prompts_q D)) (fun y => Q2R (weight_q (prompt_q D y)))) by (apply Sum_pos; auto).
  constructor; simpl.
  - intros x Hx. apply Rdiv_lt_0_compat; auto.
  - unfold Rdiv. rewrite Sum_scal_r. field; lra.
  - intros x Hx. pose proof (PC x Hx) as C; unfold check_prompt in C. split_checks C. constructor; simpl.
    + unfold size_q. destruct (length (features_q (prompt_q D x))); [discriminate|lia].
    + intros k Hk. apply positive_spec. now apply (all_below_spec _ _ H4).
    + intros k l Hk Hl. destruct (preferences_q (prompt_q D x)) as [rows|r]; simpl in H3.
      * pose proof (all_below_spec _ _ (all_below_spec _ _ H3 k Hk) l Hl) as E. split_checks E.
        rewrite <- Q2R_plus, <- Q2R_1. apply Qeq_eqR, Qeq_bool_iff, E.
      * replace (Q2R (entry r l) - Q2R (entry r k)) with (- (Q2R (entry r k) - Q2R (entry r l))) by ring. rewrite sigma_opp; ring.
    + intros k l Hk Hl. destruct (preferences_q (prompt_q D x)) as [rows|r]; simpl in H3.
      * pose proof (all_below_spec _ _ (all_below_spec _ _ H3 k Hk) l Hl) as E. split_checks E. now apply nonneg_spec.
      * left; apply sigma_pos.
  - now apply positive_spec.
  - now apply nonneg_spec.
Qed.

(** One pair's z on C. *)
Theorem pair_bound : forall D Z x k l, check_data D = true -> check_pair D Z x k l = true -> z_high (problem_of D) x k l <= Q2R Z.
Proof.
  intros D Z x k l HD C. pose proof (data_valid D HD) as V.
  pose proof (temperature_pos _ V) as T. pose proof (radius_nonneg _ V) as B0. set (P := problem_of D) in *.
  unfold check_pair in C. split_checks C.
  apply nonneg_spec in C. rewrite Q2R_red, Q2R_minus, Q2R_mult, Q2R_sum in C.
  apply Qle_bool_iff, Qle_Rle in H. rewrite !Q2R_mult, Q2R_red, Q2R_minus, Q2R_mult, !Q2R_sum in H.
  assert (Eo : Sum (dim_q D) (fun i => Q2R ((entry (center_q D) i - entry (reference_q D) i) * delta_q D x k l i))
    = dot (dim P) (vsub (center P) (reference P)) (difference P x k l)).
  { apply Sum_ext; intros i Hi. unfold vsub, difference, delta_q; simpl. rewrite Q2R_mult, !Q2R_minus. reflexivity. }
  assert (Es : Sum (dim_q D) (fun i => Q2R (delta_q D x k l i * delta_q D x k l i)) = norm2 (dim P) (difference P x k l)).
  { apply Sum_ext; intros i Hi. unfold vsub, difference, delta_q; simpl. rewrite Q2R_mult, !Q2R_minus. reflexivity. }
  rewrite Eo in C, H. rewrite Es in H. change (Q2R (beta_q D)) with (temperature P) in *. change (Q2R (radius_q D)) with (radius P) in *.
  unfold z_high. set (o := dot (dim P) (vsub (center P) (reference P)) (difference P x k l)) in *.
  rewrite <- (norm_sq P) in H. pose proof (norm_nonneg P (difference P x k l)) as N0. set (N := norm (dim P) (difference P x k l)) in *.
  assert (R1 : temperature P * (radius P * N) <= Q2R Z - temperature P * o).
  { apply Rsqr_incr_0_var; [|auto]. unfold Rsqr. replace (temperature P * (radius P * N) * (temperature P * (radius P * N)))
      with (temperature P * radius P * (temperature P * radius P) * N ^ 2) by ring. exact H. }
  lra.
Qed.

Theorem margins_bound : forall D Z, check_data D = true -> check_margins D Z = true -> z_max (problem_of D) <= Q2R Z.
Proof.
  intros D Z HD H. pose proof (data_valid D HD) as V. unfold check_margins in H. split_checks H.
  pose proof (temperature_pos _ V) as T. set (P := problem_of D) in *.
  unfold z_max. apply Rmult_le_reg_l with (/ temperature P); [now apply Rinv_0_lt_compat|].
  rewrite <- Rmult_assoc, Rinv_l, Rmult_1_l by lra.
  apply over_pairs_le.
  { apply Rmult_le_pos; [left; now apply Rinv_0_lt_compat|now apply nonneg_spec]. }
  intros x k l Hx Hk Hl.
  pose proof (pair_bound D Z x k l HD (all_below_spec _ _ (all_below_spec _ _ (all_below_spec _ _ H0 x Hx) k Hk) l Hl)) as C.
  fold P in C. unfold z_high in C. apply Rmult_le_reg_l with (temperature P); [auto|]. rewrite <- Rmult_assoc, Rinv_r, Rmult_1_l by lra. exact C.
Qed.

(** The conclusion of a certificate. *)
Definition certified (P : problem) (K gamma : R) : Prop :=
  let mu := modulus P K gamma in let Lam := sail_smoothness P gamma in
  let grad := gradient P (regularised P (sail P) gamma) in
  valid P /\ K < gamma /\
  (forall th v, in_C P th -> curvature P (sail P) th v v <= K * fisher_form P th v) /\
  strongly_concave (dim P) (in_C P) (J_gamma P gamma) grad mu /\
  ((exists v, in_S P v /\ 0 < norm2 (dim P) v) -> 0 < mu <= Lam) /\
  exists best, maximiser (in_C P) (J_gamma P gamma) best /\
    (forall other, maximiser (in_C P) (J_gamma P gamma) other -> same (dim P) best other) /\
    forall th : nat -> vec, in_C P (th O) -> (forall k, projected_step (dim P) (in_C P) grad Lam (th k) (th (S k))) ->
      forall k, J_gamma P gamma best - J_gamma P gamma (th k) <= (1 - mu / Lam)^k * (J_gamma P gamma best - J_gamma P gamma (th O)).

Theorem bounded_certified : forall P K gamma, valid P -> bounded P (sail P) K (K_minus (temperature P) (z_max P)) ->
  K < gamma -> certified P K gamma.
Proof.
  intros P K gamma VP HB Hg. pose proof (sail_valid P VP) as VO.
  split; [auto|split; [auto|split; [|split; [|split]]]].
  - intros th v Hth. apply (C11_averaged P VP _ _ _ HB th v Hth).
  - exact (C12_general P VP _ VO _ _ gamma HB Hg).
  - intros N. split; [exact (modulus_pos P VP K gamma Hg N)|exact (modulus_le_smoothness P VP _ K _ gamma HB Hg N)].
  - destruct (C13_maximiser P VP _ VO _ _ gamma HB Hg) as [best [Hb U]]. exists best; split; [auto|split; [auto|]].
    intros th H0 St k. exact (C15_general P VP _ VO _ _ gamma HB Hg th best H0 (proj1 Hb) St k).
Qed.

Theorem data_certified : forall D Z b h gamma, check_data D = true -> check_margins D Z = true ->
  admissible (Q2R Z) b h -> K_B_with (Q2R (beta_q D)) (Q2R Z) b h < gamma ->
  certified (problem_of D) (K_B_with (Q2R (beta_q D)) (Q2R Z) b h) gamma.
Proof.
  intros D Z b h gamma HD HZ A Hg. pose proof (data_valid D HD) as VP. pose proof (margins_bound D Z HD HZ) as Zb.
  apply bounded_certified; auto. intros x th v Hx Hth. split; [apply (C11_on_C _ VP x th v Hx Hth)|].
  pose proof (z_max_nonneg _ VP). simpl.
  apply (C11_K_B_with (prompt_at (problem_of D) x) (prompt_valid _ VP x Hx)); auto; [lra|].
  intros k l Hk Hl. eapply Rle_trans; [now apply z_max_covers|auto].
Qed.

(** Evaluating the definitions on data: everything is unfolded down to +, *, /, exp and ln of numbers. *)
Ltac evaluate :=
  cbv beta iota zeta delta -[exp ln IZR Rplus Rmult Ropp Rinv Rminus Rdiv Rle Rlt Rabs pow];
  interval with (i_prec 60).
