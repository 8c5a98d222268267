(** Certificates by prompt, where K_B does not reach gamma: K_data (C25), and for two responses the supremum of C23.
    U holds for every pair of a prompt a rational bound of z on C; what is left are inequalities in one variable z. *)
Require Import Reals QArith Qreals Lra Lia Psatz List Bool.
From Coquelicot Require Import Coquelicot.
From Sail Require Import Numbers Sums Vectors Sigmoid Prompt C02_hessian C11_relative_curvature Problem Objectives C12_strong_concavity
  C25_data_dependent C23_two_responses Certificate.
Import ListNotations.
Open Scope R_scope.

(** A statement for every number below n, as a conjunction. *)
Fixpoint each (n : nat) (A : nat -> Prop) : Prop := match n with O => True | S k => each k A /\ A k end.
Lemma each_spec : forall n A, each n A -> forall k, (k < n)%nat -> A k.
Proof. induction n; simpl; [lia|]. intros A [H1 H2] k Hk. destruct (Nat.eq_dec k n) as [->|]; [auto|apply IHn; auto; lia]. Qed.
Definition pairs (m : nat) (A : nat -> nat -> Prop) : Prop := each m (fun l => each l (fun k => A k l)).
Lemma pairs_spec : forall m A, pairs m A -> forall k l, (k < l)%nat -> (l < m)%nat -> A k l.
Proof. intros m A H k l Hk Hl. exact (each_spec l _ (each_spec m _ H l Hl) k Hk). Qed.

Definition above (U : list (list Q)) (k l : nat) : Q := entry (nth k U nil) l.
Definition check_above (D : data) (x : nat) (U : list (list Q)) : bool :=
  all_below (size_q D x) (fun k => all_below (size_q D x) (fun l => check_pair D (above U k l) x k l)).
Definition check_within (D : data) (x : nat) (U : list (list Q)) (Z : Q) : bool :=
  all_below (size_q D x) (fun k => all_below (size_q D x) (fun l => Qle_bool (above U k l) Z)).

(** The pair's own interval. *)
Definition in_interval (U : list (list Q)) (k l : nat) (z : R) : Prop := - Q2R (above U l k) <= z <= Q2R (above U k l).

(** What is asked of a prompt's pairs k < l, one variable each. *)
Definition pair_below (D : data) (x : nat) (U : list (list Q)) (b h : R) (k l : nat) : Prop :=
  forall z, in_interval U k l z ->
    pair_payoff (preference (problem_of D) x k l) z < b /\ pair_inner b (preference (problem_of D) x k l) z <= h.
Definition pair_floor (D : data) (x : nat) (U : list (list Q)) (g : R) (k l : nat) : Prop :=
  forall z, in_interval U k l z -> - g <= pair_payoff (preference (problem_of D) x k l) z.
Definition pair_near (D : data) (x : nat) (q : R) (k l : nat) : Prop := Rabs (preference (problem_of D) x k l - / 2) <= q.
Definition two_below (D : data) (x : nat) (U : list (list Q)) (K : R) : Prop := forall z, in_interval U 0 1 z ->
  two_curvature (temperature (problem_of D)) (preference (problem_of D) x 0%nat 1%nat) (log_odds (prompt_at (problem_of D) x)) z <= K.

(** What follows for the prompt. *)
Definition value_below (P : problem) (x : nat) (v : R) : Prop :=
  forall th, in_C P th -> - (J (prompt_at P x) (logit P th x) + ln 2) <= v.
Definition curvature_below (P : problem) (x : nat) (K : R) : Prop := forall th w, in_C P th ->
  J'' (prompt_at P x) (logit P w x) (logit P w x) (logit P th x) <= K * fisher (prompt_at P x) (logit P th x) (logit P w x).

(** A pair seen from its other end. *)
Lemma pair_payoff_swap : forall p q z, p + q = 1 -> pair_payoff q (- z) = pair_payoff p z.
Proof. intros p q z H; unfold pair_payoff. rewrite Ropp_involutive. replace q with (1 - p) by lra. ring. Qed.
Lemma pair_inner_swap : forall b p q z, p + q = 1 -> pair_inner b q (- z) = pair_inner b p z.
Proof.
  intros b p q z H; unfold pair_inner, pair_slope. rewrite (pair_payoff_swap p q z H), sigma'_even, sigma_opp.
  replace (q - (1 - sigma z)) with (- (p - sigma z)) by lra. f_equal; f_equal. ring.
Qed.

Section Prompt.
Variable D : data.
Hypothesis HD : check_data D = true.
Variable x : nat.
Hypothesis Hx : (x < length (prompts_q D))%nat.
Notation P := (problem_of D).
Let VP : valid P := data_valid D HD.
Let VQ : valid_prompt (prompt_at P x) := prompt_valid P VP x Hx.
Variable U : list (list Q).
Hypothesis HU : check_above D x U = true.

Lemma above_bounds : forall k l, (k < size_q D x)%nat -> (l < size_q D x)%nat -> z_high P x k l <= Q2R (above U k l).
Proof.
  intros k l Hk Hl. apply pair_bound; auto. exact (all_below_spec _ _ (all_below_spec _ _ HU k Hk) l Hl).
Qed.

Lemma interval_bounds : forall k l, (k < size_q D x)%nat -> (l < size_q D x)%nat ->
  forall z, z_low P x k l <= z <= z_high P x k l -> in_interval U k l z.
Proof.
  intros k l Hk Hl z [L H]. pose proof (above_bounds k l Hk Hl). pose proof (above_bounds l k Hl Hk).
  rewrite (z_low_high P) in L. unfold in_interval; lra.
Qed.

Lemma interval_swap : forall k l z, in_interval U l k z -> in_interval U k l (- z).
Proof. unfold in_interval; intros; lra. Qed.

Lemma margin_in : forall th, in_C P th -> forall k l, (k < size_q D x)%nat -> (l < size_q D x)%nat ->
  in_interval U k l (margin (prompt_at P x) (logit P th x) k l).
Proof. intros. apply interval_bounds; auto. apply z_interval; auto. Qed.

Theorem value_mean_data : forall Z q, check_within D x U Z = true -> Qle_bool 0 Z = true -> 0 <= q -> pairs (size_q D x) (pair_near D x q) ->
  value_below P x (/ 2 * (ln (cosh (Q2R Z / 2)) + q * Q2R Z)).
Proof.
  intros Z q HZ Z0 Hq Hn th Hth. apply (C25_value_mean (prompt_at P x) VQ); auto; [now apply nonneg_spec| |].
  - intros k l Hk Hl. destruct (margin_in th Hth k l Hk Hl) as [L H].
    assert (W : forall k l, (k < size_q D x)%nat -> (l < size_q D x)%nat -> Q2R (above U k l) <= Q2R Z).
    { intros i j Hi Hj. apply Qle_Rle, Qle_bool_iff. exact (all_below_spec _ _ (all_below_spec _ _ HZ i Hi) j Hj). }
    pose proof (W k l Hk Hl). pose proof (W l k Hl Hk). apply Rabs_le; lra.
  - intros k l Hk Hl. destruct (Nat.lt_total k l) as [N|[<-|N]].
    + exact (pairs_spec _ _ Hn k l N Hl).
    + pose proof (pref_sum _ VQ k k Hk Hk). replace (pref (prompt_at P x) k k - / 2) with 0 by lra. now rewrite Rabs_R0.
    + pose proof (pairs_spec _ _ Hn l k N Hk) as A. unfold pair_near in A. pose proof (pref_sum _ VQ k l Hk Hl) as S.
      rewrite <- Rabs_Ropp. replace (- (pref (prompt_at P x) k l - / 2)) with (pref (prompt_at P x) l k - / 2) by lra. exact A.
Qed.

Theorem value_max_data : forall g, 0 <= g -> pairs (size_q D x) (pair_floor D x U g) ->
  value_below P x ((1 - / INR (size_q D x)) * g).
Proof.
  intros g Hg Hn th Hth. apply (C25_value_max (prompt_at P x) VQ); auto.
  intros k l Hk Hl N. pose proof (margin_in th Hth k l Hk Hl) as I. destruct (Nat.lt_total k l) as [L|[E|L]]; [|congruence|].
  - exact (pairs_spec _ _ Hn k l L Hl _ I).
  - pose proof (pairs_spec _ _ Hn l k L Hk _ (interval_swap _ _ _ I)) as A.
    rewrite (pair_payoff_swap (preference P x k l)) in A; [exact A|]. exact (pref_sum _ VQ k l Hk Hl).
Qed.

Theorem pairs_data : forall b h v, 0 <= b -> pairs (size_q D x) (pair_below D x U b h) -> value_below P x v ->
  curvature_below P x (2 * (b + v) + 2 * (Q2R (beta_q D))^2 * h).
Proof.
  intros b h v Hb Hn Hv th w Hth. apply (C25_prompt P VP x b h v); auto.
  intros k l Hk Hl N z Hz. pose proof (interval_bounds k l Hk Hl z Hz) as I.
  destruct (Nat.lt_total k l) as [L|[E|L]]; [|congruence|].
  - exact (pairs_spec _ _ Hn k l L Hl z I).
  - pose proof (pairs_spec _ _ Hn l k L Hk (- z) (interval_swap _ _ _ I)) as A.
    rewrite (pair_payoff_swap (preference P x k l)), (pair_inner_swap b (preference P x k l)) in A; auto; exact (pref_sum _ VQ k l Hk Hl).
Qed.

Theorem two_data : forall K, size_q D x = 2%nat -> two_below D x U K -> curvature_below P x K.
Proof.
  intros K H2 HK th w Hth. apply (C23_two P VP x K); auto.
  intros z Hz. apply HK, interval_bounds; auto; rewrite H2; lia.
Qed.
End Prompt.

(** The conclusion, from a bound for every prompt. *)
Theorem prompts_certified : forall D K gamma, check_data D = true ->
  each (length (prompts_q D)) (fun x => exists Kx, curvature_below (problem_of D) x Kx /\ Kx <= K) -> K < gamma ->
  certified (problem_of D) K gamma.
Proof.
  intros D K gamma HD H Hg. pose proof (data_valid D HD) as VP. apply bounded_certified; auto.
  apply bounded_by_prompts; auto. intros x th w Hx Hth. destruct (each_spec _ _ H x Hx) as [Kx [A B]].
  eapply Rle_trans; [now apply A|]. apply Rmult_le_compat_r; [now apply fisher_nonneg, prompt_valid|auto].
Qed.

(** Inequalities in one variable, on data. *)
Ltac numbers := cbv beta iota zeta delta -[exp ln IZR Rplus Rmult Ropp Rinv Rminus Rdiv Rle Rlt Rabs pow].
Ltac numbers_in H := cbv beta iota zeta delta -[exp ln IZR Rplus Rmult Ropp Rinv Rminus Rdiv Rle Rlt Rabs pow] in H.
Ltac over z H := numbers_in H; numbers; interval with (i_prec 40, i_bisect z, i_autodiff z, i_depth 40).
Ltac conjuncts := repeat match goal with |- _ /\ _ => split | |- True => exact I end.
Ltac every_pair t := unfold pairs; cbn [each]; conjuncts; t.
Ltac pairs_below := every_pair ltac:(let z := fresh "z" in let H := fresh "H" in intros z H; split; over z H).
Ltac pairs_floor := every_pair ltac:(let z := fresh "z" in let H := fresh "H" in intros z H; over z H).
Ltac pairs_near := every_pair ltac:(evaluate).
Ltac both_below := let z := fresh "z" in let H := fresh "H" in intros z H; over z H.
