(** Every theorem that claims.toml names, applied to rational problems until no premise is left: no hypothesis is
    vacuous. The problem is that of Instances.v; C05 needs ties, C16b a step that is a function. *)
From Coq Require Import Reals QArith Qreals Lra Lia Psatz List.
From Coquelicot Require Import Coquelicot.
From Sail Require Import Numbers Sums Vectors Sigmoid Prompt Derivatives C01_gradient C02_hessian C03_reference_hessian C04_concavity
  C05_at_reference C07_kl_hessian C08_other_kl C09_fisher_floor C11_relative_curvature C11_c_zero C11_free_of_radius C11b_averaged_value
  C16_stochastic_ascent C17_mirror_ascent C19_bias C20_price C23_reduction C23_two_responses C25_data_dependent C29_online_dpo C30_reward C31_pass_rate
  C32_group_advantage C35_any_payoff C36_no_score_term Ascent Problem Objectives C12_strong_concavity C13_pl C15_projected_ascent
  Monotone Certificate Differentials Instances.
Import ListNotations.
Open Scope R_scope.

(** A theorem with a premise left is refused. *)
Ltac holds t := let T := type of t in lazymatch T with ~ _ => exact t | forall _, _ => fail "a premise is left" | _ => exact t end.

(** * What the premises need *)
Definition Q0 : prompt := prompt_at P 0.
Definition Q1 : prompt := prompt_at P 1.
Lemma V0 : valid_prompt Q0. Proof. apply (prompt_valid P P_valid 0); cbv; lia. Qed.
Lemma V1 : valid_prompt Q1. Proof. apply (prompt_valid P P_valid 1); cbv; lia. Qed.
Definition x0 : nat -> R := logit P (center P) 0.
Definition x1 : nat -> R := logit P (center P) 1.
Definition unit0 : nat -> R := fun k => match k with O => 1 | _ => 0 end.
Lemma beta0 : beta Q0 = 1 / 10. Proof. exact P_beta. Qed.
Lemma beta1 : beta Q1 = 1 / 10. Proof. exact P_beta. Qed.
Lemma beta1_pos : 0 < beta Q1. Proof. rewrite beta1; lra. Qed.
Lemma tenth : 0 <= 1 / 10. Proof. lra. Qed.
Lemma tenth_pos : 0 < 1 / 10. Proof. lra. Qed.
Lemma one_pos : 0 < 1. Proof. lra. Qed.

Lemma two_cases : forall A : nat -> Prop, A 0%nat -> A 1%nat -> forall k, (k < responses Q0)%nat -> A k.
Proof. intros A H0 H1 [|[|k]] Hk; auto; change (S (S k) < 2)%nat in Hk; lia. Qed.
Lemma three_cases : forall A : nat -> Prop, A 0%nat -> A 1%nat -> A 2%nat -> forall k, (k < responses Q1)%nat -> A k.
Proof. intros A H0 H1 H2 [|[|[|k]]] Hk; auto; change (S (S (S k)) < 3)%nat in Hk; lia. Qed.

Lemma margins1 : margins_within Q1 x1 (1 / 10).
Proof.
  intros k l Hk Hl. eapply Rle_trans; [|apply P_margins].
  apply (z_max_covers P P_valid (center P) 1 (in_C_center P)); auto; cbv; lia.
Qed.

Definition b11 : R := log_sigma (1 / 10) + 1 / 10 * sigma (1 / 10).
Definition h11 : R := sigma (1 / 10) / (1 / 10) - sigma' (1 / 10).
Lemma admissible11 : admissible (1 / 10) b11 h11.
Proof. exact (proj1 (closed_admissible (1 / 10) (1 / 10) tenth_pos tenth)). Qed.

Lemma threshold1 : K_B (temperature P) (z_max P) < 1. Proof. pose proof P_threshold; lra. Qed.
Definition SV := sail_valid P P_valid.
Definition BV := C11_on_C P P_valid.
Definition CV := in_C_center P.
Definition v0 : vec := difference P 0 0 1.

Lemma fisher_unit0 : 0 < fisher Q0 (ref Q0) unit0.
Proof. unfold Q0, P, D, unit0; evaluate. Qed.

(** The curvature of every pair of prompt 0 at the reference. *)
Lemma pair_curvature0 : forall k l, (k < responses Q0)%nat -> (l < responses Q0)%nat ->
  pair_curvature Q0 log_sigma (fun z => sigma (- z)) (fun z => - sigma' z) (- ln 2) x0 k l <= 1.
Proof.
  intros k l Hk Hl; revert k Hk; apply two_cases; revert l Hl; apply two_cases; unfold Q0, x0, P, D; evaluate.
Qed.

Definition tied : prompt := {| responses := 2; base := fun _ => 1; pref := fun _ _ => / 2; ref := fun _ => 0; beta := 5 |}.
Lemma tied_valid : valid_prompt tied. Proof. constructor; simpl; intros; try lia; lra. Qed.
Lemma tied_fisher : 0 < fisher tied (ref tied) unit0.
Proof. unfold tied, unit0; evaluate. Qed.
Lemma tied_wins : forall k, (k < responses tied)%nat -> pbar tied k < / 2 + beta tied / 8.
Proof. intros [|[|k]] Hk; [| |simpl in Hk; lia]; unfold tied; evaluate. Qed.

Lemma shift_at_ref : forall j l, (j < responses Q1)%nat -> (l < responses Q1)%nat -> shift_from_ref Q1 (ref Q1) j - shift_from_ref Q1 (ref Q1) l <= 1.
Proof. intros; unfold shift_from_ref; lra. Qed.

Lemma range1 : forall j l, (j < responses Q1)%nat -> (l < responses Q1)%nat -> (unit0 j - (fun _ => 0) j) - (unit0 l - (fun _ => 0) l) <= 1.
Proof. intros [|j] [|l] _ _; simpl; lra. Qed.
Lemma range_ref : range_at_most Q1 unit0 1.
Proof.
  intros j l Hj Hl; revert j Hj; apply three_cases; revert l Hl; apply three_cases; unfold Q1, unit0, P, D;
  cbv beta iota zeta delta -[IZR Rplus Rmult Ropp Rinv Rminus Rdiv Rle]; lra.
Qed.

Lemma share0 : forall k, (k < responses Q0)%nat -> 1 / 5 <= pi Q0 (ref Q0) k.
Proof. apply two_cases; unfold Q0, P, D; evaluate. Qed.

(** C25: |z| <= 1/10 and any preference. *)
Lemma payoff_small : forall p z, 0 <= p <= 1 -> Rabs z <= 1 / 10 -> - 1 <= pair_payoff p z < 1 /\ pair_inner 1 p z <= 2.
Proof.
  intros p z Hp Hz. apply Rabs_le_between in Hz. unfold pair_inner, pair_payoff, pair_slope, sigma', log_sigma, sigma.
  repeat split; interval with (i_bisect z).
Qed.
Lemma interval_small : forall x k l z, (x < prompts P)%nat -> (k < size P x)%nat -> (l < size P x)%nat ->
  z_low P x k l <= z <= z_high P x k l -> Rabs z <= 1 / 10.
Proof.
  intros x k l z Hx Hk Hl. rewrite z_low_high.
  assert (W : forall i j, (i < size P x)%nat -> (j < size P x)%nat -> z_high P x i j <= 1 / 10).
  { intros i j Hi Hj. eapply Rle_trans; [|exact P_margins]. unfold z_max, z_high. apply Rmult_le_compat_l; [left; apply (temperature_pos P P_valid)|].
    exact (over_pairs_ge P (fun x k l => dot (dim P) (vsub (center P) (reference P)) (difference P x k l) + radius P * norm (dim P) (difference P x k l)) x i j Hx Hi Hj). }
  pose proof (W k l Hk Hl). pose proof (W l k Hl Hk). intros; apply Rabs_le; lra.
Qed.
Lemma pref1 : forall k l, (k < responses Q1)%nat -> (l < responses Q1)%nat -> 0 <= pref Q1 k l <= 1.
Proof. exact (pref_01 Q1 V1). Qed.
Lemma pref1_near : forall k l, (k < responses Q1)%nat -> (l < responses Q1)%nat -> Rabs (pref Q1 k l - / 2) <= 1 / 2.
Proof. intros k l Hk Hl. pose proof (pref1 k l Hk Hl). apply Rabs_le; lra. Qed.
Lemma pairs1 : forall k l, (k < responses Q1)%nat -> (l < responses Q1)%nat -> k <> l -> - 1 <= pair_payoff (pref Q1 k l) (margin Q1 x1 k l).
Proof. intros k l Hk Hl _. apply payoff_small; [now apply pref1|now apply margins1]. Qed.
Lemma pairs_P : forall x k l, (x < prompts P)%nat -> (k < size P x)%nat -> (l < size P x)%nat -> k <> l -> forall z,
  z_low P x k l <= z <= z_high P x k l -> pair_payoff (preference P x k l) z < 1 /\ pair_inner 1 (preference P x k l) z <= 2.
Proof.
  intros x k l Hx Hk Hl _ z Hz. destruct (payoff_small (preference P x k l) z) as [[_ A] B]; auto.
  - exact (pref_01 _ (prompt_valid P P_valid x Hx) k l Hk Hl).
  - now apply (interval_small x k l).
Qed.
Lemma value_P : forall x th, (x < prompts P)%nat -> in_C P th -> - (J (prompt_at P x) (logit P th x) + ln 2) <= 1.
Proof.
  intros x th Hx Hth. pose proof (prompt_valid P P_valid x Hx) as VQ.
  assert (M : margins_within (prompt_at P x) (logit P th x) (1 / 10)).
  { intros k l Hk Hl. eapply Rle_trans; [now apply (z_max_covers P P_valid)|exact P_margins]. }
  pose proof (J_lower (prompt_at P x) VQ (logit P th x) (1 / 10) tenth M) as L.
  assert (/ 2 * (ln 2 + ln (1 + exp (1 / 10))) - ln 2 <= 1) by interval. lra.
Qed.
Lemma K_P : forall x, (x < prompts P)%nat -> 2 * (1 + 1) + 2 * (temperature P)^2 * 2 <= 5.
Proof. intros; rewrite P_beta; lra. Qed.
Lemma two_P : forall z, z_low P 0 0 1 <= z <= z_high P 0 0 1 ->
  two_curvature (temperature P) (preference P 0%nat 0%nat 1%nat) (log_odds (prompt_at P 0)) z <= 2.
Proof.
  intros z Hz. apply (interval_small 0 0 1) in Hz; try (cbv; lia). apply Rabs_le_between in Hz.
  unfold P, D. cbv beta iota zeta delta -[exp ln IZR Rplus Rmult Ropp Rinv Rminus Rdiv Rle Rlt Rabs pow].
  interval with (i_bisect z).
Qed.

(** C30, C31 and C32; C31 for MaxRL with two samples, f' = 2 - V. *)
Lemma unit_binary : forall k, (k < responses Q0)%nat -> unit0 k = 0 \/ unit0 k = 1.
Proof. intros [|k] _; simpl; [right|left]; reflexivity. Qed.
Lemma slope_nonneg : forall v, 0 <= v <= 1 -> 0 <= 2 - v.
Proof. intros; lra. Qed.
Lemma upper_falls : forall v, 0 <= v <= 1 -> (1 - v) * -1 <= 2 - v.
Proof. intros; lra. Qed.
Lemma lower_rises : forall v, 0 <= v <= 1 -> - (2 - v) <= v * -1.
Proof. intros; lra. Qed.
Lemma reward_range : forall k, (k < responses Q0)%nat -> 0 <= unit0 k <= 2.
Proof. intros [|k] _; simpl; lra. Qed.
Lemma reward_below : forall x, reward Q0 unit0 x < 2.
Proof.
  intros x. apply Rle_lt_trans with 1; [|lra]. rewrite <- (E_const Q0 V0 x 1). apply (E_le Q0 V0). intros [|k] _; simpl; lra.
Qed.
Lemma reward_ref : 2 - reward Q0 unit0 (ref Q0) < 3.
Proof.
  assert (0 <= reward Q0 unit0 (ref Q0)); [|lra]. rewrite <- (E_const Q0 V0 (ref Q0) 0). apply (E_le Q0 V0). intros [|k] _; simpl; lra.
Qed.
Lemma group_of_two : forall ys, sample Q1 2 ys ->
  length (compare_two 1 ys) = 2%nat /\ list_sum (compare_two 1 ys) = 0 /\ list_sum2 (compare_two 1 ys) <= INR 2.
Proof.
  intros ys [L _]. destruct ys as [|k [|l [|? ?]]]; try discriminate.
  unfold compare_two, correct; destruct k, l; simpl; repeat split; lra.
Qed.

(** C35 and C36 with log sigma. *)
Lemma below11 : forall z, Rabs z <= 1 / 10 -> log_sigma z < b11.
Proof.
  intros z Hz. apply Rle_lt_trans with (log_sigma (1 / 10)); [|exact (proj1 admissible11)].
  apply log_sigma_incr. apply Rabs_le_between in Hz; lra.
Qed.
Lemma slope_small : forall z, Rabs z <= 1 / 10 -> (sigma (- z))^2 / (4 * 1) + - sigma' z <= 1.
Proof. intros z Hz. pose proof (sigma_pos (- z)). pose proof (sigma_lt1 (- z)). pose proof (sigma'_pos z). nra. Qed.

(** C24: prompt 0 alone. *)
Lemma C_of_0 : in_C_of P 0 (center P).
Proof.
  destruct CV as [A _]; split; [exact A|]. apply span_zero. intros i Hi; unfold vsub; ring.
Qed.
Lemma S_of_0 : in_S_of P 0 v0.
Proof. apply span_in. apply differences_of_spec. exists 0%nat, 1%nat. repeat split; cbv; lia. Qed.
Lemma ball_0 : forall th v, in_C P th -> in_S P v -> curvature P (sail P) th v v <= 3 / 5 * fisher_form P th v.
Proof. intros; now apply instance_C23. Qed.

(** C16b: -y^2/2 on the line, noise +1 or -1. *)
Definition everywhere (_ : vec) : Prop := True.
Definition bowl (y : vec) : R := - (y 0%nat)^2 / 2.
Definition slide (y : vec) : vec := fun i => - y i.
Definition coin (_ : vec) (j : nat) : vec := fun _ => match j with O => 1 | _ => -1 end.
Definition fair (_ : vec) (_ : nat) : R := 1 / 2.
Definition jump (th : vec) (j : nat) : vec := fun i => th i + / 1 * (slide th i + coin th j i).
Lemma bowl_concave : strongly_concave 1 everywhere bowl slide 1.
Proof. intros a b _ _. unfold bowl, slide, norm2, dot, vsub; simpl. lra. Qed.
Lemma bowl_smooth : smooth 1 everywhere bowl slide 1.
Proof. intros a b _ _. unfold bowl, slide, norm2, dot, vsub; simpl. lra. Qed.
Lemma bowl_best : maximiser everywhere bowl (fun _ => 0).
Proof. split; [exact I|]. intros y _. unfold bowl. pose proof (pow2_ge_0 (y 0%nat)). simpl in *; lra. Qed.
Lemma fair_sum : forall th, Sum 2 (fair th) = 1. Proof. intros; unfold fair; simpl; lra. Qed.
Lemma coin_mean : forall th i, (i < 1)%nat -> Sum 2 (fun j => fair th j * coin th j i) = 0.
Proof. intros; unfold fair, coin; simpl; lra. Qed.
Lemma coin_square : forall th, Sum 2 (fun j => fair th j * norm2 1 (coin th j)) <= 1.
Proof. intros; unfold fair, coin, norm2, dot; simpl; lra. Qed.
Lemma jump_nearest : forall th j q, everywhere q ->
  norm2 1 (vsub (jump th j) (fun i => th i + / 1 * (slide th i + coin th j i))) <= norm2 1 (vsub q (fun i => th i + / 1 * (slide th i + coin th j i))).
Proof.
  intros th j q _. apply Rle_trans with 0; [|apply norm2_nonneg]. apply Req_le.
  unfold norm2, dot, vsub, jump; simpl. ring.
Qed.

(** C17: from the maximiser a mirror step leads to the maximiser. *)
Lemma best_stays : forall best, maximiser (in_C P) (J_gamma P 1) best ->
  mirror_step P (sail P) (K_minus (temperature P) (z_max P)) 1 best best.
Proof.
  intros best [Cb Mb]. split; auto. intros q Cq. rewrite Rminus_eq_0, Rmult_0_r, Rminus_0_r.
  pose proof (C12_smooth P P_valid (sail P) SV _ _ 1 BV threshold1 P_span) as SM.
  set (g := gradient P (regularised P (sail P) 1) best) in *. set (Lam := smoothness P (K_minus (temperature P) (z_max P)) 1) in *.
  set (s := dot (dim P) g (vsub q best)). destruct (Rle_dec s 0) as [|N]; [auto|exfalso].
  assert (T : forall t, 0 <= t <= 1 -> t * s <= Lam / 2 * (t^2 * norm2 (dim P) (vsub q best))).
  { intros t Ht. pose proof (in_C_convex P best q t Cb Cq Ht) as Ct. pose proof (SM best _ Cb Ct) as S1. pose proof (Mb _ Ct) as S2.
    fold g in S1. unfold J_gamma in S2.
    assert (E1 : dot (dim P) g (vsub (step best q t) best) = t * s).
    { unfold s, dot. rewrite <- Sum_scal. apply Sum_ext; intros; unfold vsub, step; ring. }
    assert (E2 : norm2 (dim P) (vsub (step best q t) best) = t^2 * norm2 (dim P) (vsub q best)).
    { unfold norm2, dot. rewrite <- Sum_scal. apply Sum_ext; intros; unfold vsub, step; ring. }
    rewrite E1, E2 in S1. lra. }
  set (c := Lam / 2 * norm2 (dim P) (vsub q best)) in *.
  assert (T' : forall t, 0 < t <= 1 -> s <= t * c).
  { intros t Ht. pose proof (T t ltac:(lra)) as A. apply Rmult_le_reg_l with t; [lra|]. unfold c. lra. }
  pose proof (T' 1 ltac:(lra)) as C1. assert (c0 : 0 < c) by lra.
  pose proof (T' (s / (2 * c))) as H. assert (R : s / (2 * c) * c = s / 2) by (field; lra). rewrite R in H.
  assert (0 < s / (2 * c) <= 1); [|lra]. split; [apply Rdiv_lt_0_compat; lra|].
  apply Rmult_le_reg_r with (2 * c); [lra|]. replace (s / (2 * c) * (2 * c)) with s by (field; lra). lra.
Qed.

(** * The theorems, applied *)
Definition instance_C01 := ltac:(holds (C01 Q1 V1 x1 unit0 0)).
Definition instance_J_gamma_gradient := ltac:(holds (J_gamma_gradient P P_valid 1 (center P))).
Definition instance_C02 := ltac:(holds (C02 Q1 V1 x1 unit0 unit0 0)).
Definition instance_C02_baseline := ltac:(holds (C02_baseline Q1 V1 unit0 x1 0)).
Definition instance_C02_pair_form := ltac:(holds (C02_pair_form Q1 V1 log_sigma (fun z => sigma (- z)) (fun z => - sigma' z) (- ln 2) x1 unit0)).
Definition instance_C02_pair_condition := ltac:(holds (C02_pair_condition Q0 V0 _ _ _ _ x0 unit0 1 pair_curvature0)).
Definition instance_J_gamma_hessian := ltac:(holds (J_gamma_hessian P P_valid 1 (center P) 0%nat)).
Definition instance_C03 := ltac:(holds (C03 Q1 V1 unit0)).
Definition instance_C04_i := ltac:(holds C04_i).
Definition instance_C04_ii := ltac:(holds (C04_ii (1 / 10))).
Definition instance_C04 := ltac:(holds C04).
Definition instance_C05_sharp := ltac:(holds (C05_sharp (1 / 10) ltac:(lra))).
Definition instance_C05_sufficient := ltac:(holds (C05_sufficient tied tied_valid unit0 ltac:(simpl; lra) tied_wins tied_fisher)).
Definition instance_C05_beta_four := ltac:(holds (C05_beta_four tied tied_valid unit0 ltac:(simpl; lra) tied_fisher)).
Definition instance_C07_gradient := ltac:(holds (C07_gradient Q1 V1 x1 unit0 0)).
Definition instance_C07 := ltac:(holds (C07 Q1 V1 x1 unit0 unit0 0)).
Definition instance_C08_gradient := ltac:(holds (C08_gradient Q1 V1 x1 unit0 0)).
Definition instance_C08_hessian := ltac:(holds (C08_hessian Q1 V1 x1 unit0 unit0 0)).
Definition instance_C08_convex := ltac:(holds (C08_convex Q1 V1 (ref Q1) unit0 shift_at_ref)).
Definition instance_C08b := ltac:(holds C08b).
Definition instance_C08_no_gamma := ltac:(holds (C08_no_gamma 1 ltac:(lra))).
Definition instance_C09 := ltac:(holds (C09 Q1 V1 unit0 (fun _ => 0) 1 unit0 range1)).
Definition instance_C09_averaged := ltac:(holds (C09_averaged P P_valid (center P) v0 CV)).
Definition instance_C11 := ltac:(holds (C11 Q1 V1 x1 unit0 (1 / 10) b11 h11 margins1 (proj1 admissible11) (proj2 admissible11))).
Definition instance_C11_K_B := ltac:(holds (C11_K_B Q1 V1 x1 unit0 (1 / 10) beta1_pos tenth margins1)).
Definition instance_C11_i := ltac:(holds (C11_i Q1 V1 x1 unit0 (1 / 10) beta1_pos tenth margins1)).
Definition instance_C11_ii := ltac:(holds (C11_ii Q1 V1 x1 unit0)).
Definition instance_C11_iii := ltac:(holds (C11_iii Q0 V0 ltac:(rewrite beta0; lra) (1 / 5) ltac:(lra) share0 x0 unit0)).
Definition instance_C11_lower := ltac:(holds (C11_lower Q1 V1 x1 unit0 (1 / 10) beta1_pos tenth margins1)).
Definition instance_J_lower := ltac:(holds (J_lower Q1 V1 x1 (1 / 10) tenth margins1)).
Definition instance_C11_averaged := ltac:(holds (C11_averaged P P_valid (sail P) _ _ BV (center P) v0 CV)).
Definition instance_closed_form_threshold := ltac:(holds (closed_form_threshold P P_valid)).
Definition instance_C11b_instance := ltac:(holds C11b_instance).
Definition instance_C11b := ltac:(holds C11b).
Definition instance_C12_relative := ltac:(holds (C12_relative P P_valid (sail P) SV _ _ 1 BV (center P) (center P) CV CV)).
Definition instance_fisher_form_definite := ltac:(holds (fisher_form_definite P P_valid (center P))).
Definition instance_lambda_min_spec := ltac:(holds (lambda_min_spec P P_valid P_span)).
Definition instance_C13_maximiser := ltac:(holds (C13_maximiser P P_valid (sail P) SV _ _ 1 BV threshold1)).
Definition instance_C15_step_exists := ltac:(holds (C15_step_exists P P_valid (sail P) (K_minus (temperature P) (z_max P)) 1 (center P))).
Definition instance_C16b := ltac:(holds (C16b 1 everywhere bowl slide 1 1 one_pos (Rle_refl 1) (fun _ _ _ _ _ _ => I) (fun _ _ => I)
  bowl_concave bowl_smooth (fun _ => 0) bowl_best 2 fair coin 1 ltac:(intros; unfold fair; lra) fair_sum coin_mean coin_square
  jump (fun _ _ => I) jump_nearest 3 (fun _ => 1) ltac:(lia) I)).
Definition instance_C17_step_exists := ltac:(holds (C17_step_exists P P_valid (sail P) SV _ _ 1 BV threshold1 P_span (center P))).
Definition instance_C19_range := ltac:(holds (C19_range Q1 V1 unit0 1 one_pos range_ref)).
Definition instance_C19_range_attained := ltac:(holds (C19_range_attained 1 one_pos)).
Definition instance_K_range_le := ltac:(holds (K_range_le 1 one_pos)).
Definition instance_C20_KL := ltac:(holds (C20_KL P P_valid 1 (reference P) one_pos (Rle_refl _))).
Definition instance_C24 := ltac:(holds (C24 P P_valid 0 (3 / 5) ltac:(cbv; lia) spans_meet_in_zero ball_0 (center P) v0 C_of_0 S_of_0)).
Definition instance_C23_two_exact := ltac:(holds (C23_two_exact Q0 V0 eq_refl ltac:(rewrite beta0; lra) x0 unit0)).
Definition instance_C23_two := ltac:(holds (C23_two P P_valid 0 2 ltac:(cbv; lia) eq_refl two_P (center P) v0 CV)).
Definition instance_C25 := ltac:(holds (C25 P P_valid (fun _ => 1) (fun _ => 2) (fun _ => 1) 5 ltac:(intros; lra) pairs_P value_P K_P)).
Definition instance_C25_value_mean := ltac:(holds (C25_value_mean Q1 V1 x1 (1 / 10) (1 / 2) tenth margins1 ltac:(lra) pref1_near)).
Definition instance_C25_value_max := ltac:(holds (C25_value_max Q1 V1 x1 1 ltac:(lra) pairs1)).
Definition instance_C29_curvature := ltac:(holds (C29_curvature Q1 V1 beta1_pos x1 unit0)).
Definition instance_C30_curvature := ltac:(holds (C30_curvature Q0 V0 unit0 0 2 reward_range x0 unit0)).
Definition instance_C30_superlevel_convex := ltac:(holds (C30_superlevel_convex Q0 V0 unit0 0 2 reward_range 3 reward_below
  (Rlt_le _ _ reward_ref) ltac:(lra) (ref Q0) (ref Q0) (1 / 2) ltac:(lra) (Rle_refl _) (Rle_refl _))).
Definition instance_C30_superlevel_concave := ltac:(holds (C30_superlevel_concave Q0 V0 unit0 0 2 reward_range 3 ltac:(lra) (ref Q0) unit0
  reward_ref (Rle_refl _) fisher_unit0)).
Definition instance_C31_upper := ltac:(holds (C31_upper Q0 V0 unit0 unit_binary (fun v => 2 - v) (fun _ => -1) slope_nonneg upper_falls
  x0 unit0)).
Definition instance_C31_lower := ltac:(holds (C31_lower Q0 V0 unit0 unit_binary (fun v => 2 - v) (fun _ => -1) slope_nonneg lower_rises
  x0 unit0)).
Definition instance_C32_curvature := ltac:(holds (C32_curvature Q1 V1 2 (compare_two 1) ltac:(lia) (fun ys H => proj1 (group_of_two ys H))
  (fun ys H => proj1 (proj2 (group_of_two ys H))) (fun ys H => proj2 (proj2 (group_of_two ys H))) x1 unit0)).
Definition instance_C35 := ltac:(holds (C35 Q1 V1 log_sigma (fun z => sigma (- z)) (fun z => - sigma' z) x1 unit0 (1 / 10) b11 h11 margins1 below11
  (proj2 admissible11))).
Definition instance_C36 := ltac:(holds (C36 Q1 V1 (fun z => sigma (- z)) (fun z => - sigma' z) x1 unit0 (1 / 10) 1 1 margins1 one_pos slope_small)).
Definition instance_C36_log_sigmoid := ltac:(holds (C36_log_sigmoid Q1 V1 beta1_pos x1 unit0 (1 / 10) margins1)).
Definition instance_C15 := ltac:(holds (C15 P P_valid 1 threshold1)).

Theorem instance_C17 : exists best, maximiser (in_C P) (J_gamma P 1) best /\ forall k, (1 <= k)%nat ->
  J_gamma P 1 best - J_gamma P 1 best <= (1 + K_minus (temperature P) (z_max P))
    * (1 - (1 - K_B (temperature P) (z_max P)) / (1 + K_minus (temperature P) (z_max P)))^k * bregman P best best.
Proof.
  destruct instance_C13 as [best Hb]. exists best; split; auto.
  exact (C17 P P_valid 1 threshold1 P_span (fun _ => best) best (proj1 Hb) Hb (fun _ => best_stays best Hb)).
Qed.

Theorem instance_C19_bias : exists best best_gamma, 0 <= total P (regularised P (sail P) 1) best - total P (regularised P (sail P) 1) best_gamma
  <= 1 * mean_KL P best.
Proof.
  destruct instance_C13 as [best Hb]. assert (T : K_B (temperature P) (z_max P) < 2) by (pose proof P_threshold; lra).
  destruct (C13_maximiser P P_valid (sail P) SV _ _ 2 BV T) as [other [[Co Mo] _]]. exists best, other.
  apply (C19_bias P P_valid (regularised P (sail P) 1) 1 (in_C P)); [lra|exact Hb|]. split; auto.
  intros y Cy. pose proof (Mo y Cy) as H. rewrite !total_regularised in *. lra.
Qed.
