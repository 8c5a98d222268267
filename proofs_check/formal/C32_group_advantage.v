(** C32. Groups of G independent samples with a zero-sum advantage A, |A|^2 <= G, a function of the samples alone.
    For h = E[(1/G) sum_i A_i s_i]:  |v^T Dh v| <= sqrt(G - 1) v^T F v, and hence gamma > sqrt(G - 1) makes
    h - gamma grad KL(pi_ref || pi_theta) strongly monotone on C, with one solution of its variational inequality.

    A sample is a list of G responses; [EG] is the expectation over G independent draws. *)
Require Import Reals Lra Lia Psatz List FunctionalExtensionality.
From Coquelicot Require Import Coquelicot.
From Sail Require Import Sums Vectors Sigmoid Prompt Derivatives C07_kl_hessian Ascent Problem Objectives C12_strong_concavity Monotone.
Open Scope R_scope.

Section Group.
Variable Q : prompt.
Hypothesis VQ : valid_prompt Q.
Notation m := (responses Q).

Fixpoint EG (G : nat) (x : nat -> R) (f : list nat -> R) : R :=
  match G with O => f nil | S g => E Q x (fun k => EG g x (fun ys => f (k :: ys))) end.
(** Samples of G responses. *)
Definition sample (G : nat) (ys : list nat) : Prop := length ys = G /\ List.Forall (fun k => (k < m)%nat) ys.
(** Sums over a list, of a function of a response, and of two lists. *)
Fixpoint total_of (t : nat -> R) (ys : list nat) : R := match ys with nil => 0 | k :: r => t k + total_of t r end.
Fixpoint paired (a : list R) (t : nat -> R) (ys : list nat) : R :=
  match a, ys with c :: a', k :: r => c * t k + paired a' t r | _, _ => 0 end.
Fixpoint list_sum (a : list R) : R := match a with nil => 0 | c :: a' => c + list_sum a' end.
Fixpoint list_sum2 (a : list R) : R := match a with nil => 0 | c :: a' => c^2 + list_sum2 a' end.

Lemma sample_cons : forall G k ys, (k < m)%nat -> sample G ys -> sample (S G) (k :: ys).
Proof. intros G k ys Hk [L F]; split; [simpl; auto|constructor; auto]. Qed.

Lemma EG_le : forall G x f g, (forall ys, sample G ys -> f ys <= g ys) -> EG G x f <= EG G x g.
Proof.
  induction G; intros x f g H; simpl.
  - apply H; split; [reflexivity|constructor].
  - apply (E_le Q VQ); intros k Hk; apply IHG; intros ys Hy; now apply H, sample_cons.
Qed.

Lemma EG_ext : forall G x f g, (forall ys, sample G ys -> f ys = g ys) -> EG G x f = EG G x g.
Proof. intros; apply Rle_antisym; apply EG_le; intros; rewrite H; auto; lra. Qed.

Lemma EG_plus : forall G x f g, EG G x (fun ys => f ys + g ys) = EG G x f + EG G x g.
Proof.
  induction G; intros; simpl; [reflexivity|]. rewrite <- E_plus; apply (E_ext Q); intros; apply IHG.
Qed.

Lemma EG_scal : forall G x c f, EG G x (fun ys => c * f ys) = c * EG G x f.
Proof.
  induction G; intros; simpl; [reflexivity|]. rewrite <- E_scal; apply (E_ext Q); intros; apply IHG.
Qed.

Lemma EG_const : forall G x c, EG G x (fun _ => c) = c.
Proof. induction G; intros; simpl; [reflexivity|]. rewrite (E_ext Q x _ (fun _ => c)); [now apply E_const|intros; apply IHG]. Qed.

Lemma EG_derive : forall G x c (f : list nat -> R -> R) (f' : list nat -> R) t,
  (forall ys, sample G ys -> is_derive (f ys) t (f' ys)) ->
  is_derive (fun t => EG G (line x c t) (fun ys => f ys t)) t
    (EG G (line x c t) (fun ys => f' ys + f ys t * total_of (score Q (line x c t) c) ys)).
Proof.
  induction G; intros x c f f' t H; simpl.
  - evar_last; [apply H; split; [reflexivity|constructor]|ring].
  - evar_last.
    + apply (E_derive Q VQ x c (fun k t => EG G (line x c t) (fun ys => f (k :: ys) t))).
      intros k Hk. apply (IHG x c (fun ys t => f (k :: ys) t) (fun ys => f' (k :: ys))). intros ys Hy; now apply H, sample_cons.
    + apply (E_ext Q); intros k Hk. rewrite Rmult_comm, <- EG_scal, <- EG_plus. apply EG_ext; intros; ring.
Qed.

(** First and second moments of the sum of a centred t over the group. *)
Lemma EG_total : forall G x t, E Q x t = 0 -> EG G x (total_of t) = 0.
Proof.
  induction G; intros x t Ht; simpl; [reflexivity|].
  rewrite (E_ext Q x _ t); [exact Ht|]. intros k Hk. rewrite EG_plus, EG_const, IHG; auto; ring.
Qed.

Lemma EG_total2 : forall G x t, E Q x t = 0 -> EG G x (fun ys => (total_of t ys)^2) = INR G * E Q x (fun k => (t k)^2).
Proof.
  induction G; intros x t Ht; [simpl; ring|]. rewrite S_INR. simpl EG.
  rewrite (E_ext Q x _ (fun k => (t k)^2 + INR G * E Q x (fun k => (t k)^2))).
  - rewrite E_plus, (E_const Q VQ); ring.
  - intros k Hk. simpl total_of. rewrite (EG_ext G x _ (fun ys => ((t k)^2 + (2 * t k) * total_of t ys) + (total_of t ys)^2)) by (intros; ring).
    rewrite !EG_plus, EG_const, EG_scal, EG_total, IHG; auto; ring.
Qed.

Lemma EG_squares : forall G x t, EG G x (fun ys => total_of (fun k => (t k)^2) ys) = INR G * E Q x (fun k => (t k)^2).
Proof.
  induction G; intros x t; [simpl; ring|]. rewrite S_INR. simpl EG.
  rewrite (E_ext Q x _ (fun k => (t k)^2 + INR G * E Q x (fun k => (t k)^2))).
  - rewrite E_plus, (E_const Q VQ); ring.
  - intros k Hk.
    change (EG G x (fun ys => (t k)^2 + total_of (fun k => (t k)^2) ys) = (t k)^2 + INR G * E Q x (fun k => (t k)^2)).
    rewrite EG_plus, EG_const, IHG; ring.
Qed.

(** Cauchy-Schwarz for lists, against the deviation from the group's mean. *)
Lemma paired_shift : forall a t ys c, length a = length ys -> paired a (fun k => t k - c) ys = paired a t ys - c * list_sum a.
Proof.
  induction a as [|r a IH]; intros t [|k ys] c L; simpl in *; try discriminate; [ring|]. rewrite IH by (now injection L). ring.
Qed.

Lemma paired_cs : forall a t ys, length a = length ys -> (paired a t ys)^2 <= list_sum2 a * total_of (fun k => (t k)^2) ys.
Proof.
  intros a t ys L.
  assert (Q0 : forall s r, 0 <= s^2 * list_sum2 a - 2 * s * r * paired a t ys + r^2 * total_of (fun k => (t k)^2) ys).
  { revert t ys L. induction a as [|c a IH]; intros t [|k ys] L s r; simpl in *; try discriminate; [lra|].
    pose proof (IH t ys ltac:(now injection L) s r). pose proof (pow2_ge_0 (s * c - r * t k)). nra. }
  set (A := list_sum2 a) in *. set (T := total_of (fun k => (t k)^2) ys) in *. set (p := paired a t ys) in *.
  pose proof (Q0 1 0). pose proof (Q0 0 1).
  destruct (Req_dec A 0) as [A0|A0].
  - destruct (Req_dec p 0) as [->|P0]; [nra|exfalso]. pose proof (Q0 ((T + 1) / (2 * p)) 1) as H1. rewrite A0 in H1.
    replace (((T + 1) / (2 * p))^2 * 0 - 2 * ((T + 1) / (2 * p)) * 1 * p + 1^2 * T) with (-1) in H1 by (field; auto). lra.
  - pose proof (Q0 p A) as H1. assert (0 <= A * (A * T - p^2)) by nra.
    assert (0 <= A * T - p^2) by (apply Rmult_le_reg_l with A; lra). lra.
Qed.

Lemma squares_nonneg : forall f ys, 0 <= total_of (fun k => (f k)^2) ys.
Proof. intros f; induction ys as [|k ys IH]; cbn [total_of]; [lra|]. pose proof (pow2_ge_0 (f k)). lra. Qed.

Lemma deviation : forall t ys, (0 < length ys)%nat ->
  total_of (fun k => (t k - total_of t ys / INR (length ys))^2) ys
    = total_of (fun k => (t k)^2) ys - (total_of t ys)^2 / INR (length ys).
Proof.
  intros t ys L. assert (N : 0 < INR (length ys)) by now apply lt_0_INR.
  assert (Ex : forall c zs, total_of (fun k => (t k - c)^2) zs = total_of (fun k => (t k)^2) zs - 2 * c * total_of t zs + INR (length zs) * c^2).
  { intros c; induction zs as [|k zs IH]; [simpl; ring|]. cbn [total_of length]. rewrite IH, S_INR. ring. }
  rewrite Ex. field; lra.
Qed.

(** The advantage: G numbers for each sample, summing to 0, of mean square at most 1. *)
Variable G : nat.
Variable adv : list nat -> list R.
Hypothesis G_large : (2 <= G)%nat.
Hypothesis adv_length : forall ys, sample G ys -> length (adv ys) = G.
Hypothesis adv_zero_sum : forall ys, sample G ys -> list_sum (adv ys) = 0.
Hypothesis adv_square : forall ys, sample G ys -> list_sum2 (adv ys) <= INR G.

Definition group (b x : nat -> R) : R := EG G x (fun ys => / INR G * paired (adv ys) (score Q x b) ys).
Definition group' (b c x : nat -> R) : R :=
  EG G x (fun ys => / INR G * (paired (adv ys) (score Q x b) ys * total_of (score Q x c) ys)).

Lemma paired_derive : forall x c b a ys t,
  is_derive (fun t => paired a (score Q (line x c t) b) ys) t (- fisher2 Q (line x c t) b c * list_sum (firstn (length ys) a)).
Proof.
  intros x c b; induction a as [|r a IH]; intros [|k ys] t; simpl.
  - evar_last; [apply is_derive_const|]. unfold zero; simpl; ring.
  - evar_last; [apply is_derive_const|]. unfold zero; simpl; ring.
  - evar_last; [apply is_derive_const|]. unfold zero; simpl; ring.
  - evar_last.
    + apply (is_derive_plus (fun t => r * score Q (line x c t) b k) (fun t => paired a (score Q (line x c t) b) ys)).
      * apply is_derive_scal; now apply score_derive.
      * apply IH.
    + unfold plus; simpl. R_ring.
Qed.

Theorem group_derive : forall x b c t, is_derive (fun t => group b (line x c t)) t (group' b c (line x c t)).
Proof.
  intros x b c t; unfold group; evar_last.
  - apply (EG_derive G x c (fun ys t => / INR G * paired (adv ys) (score Q (line x c t) b) ys) (fun ys => 0)).
    intros ys Hy. evar_last; [apply is_derive_scal, paired_derive|].
    assert (Z : list_sum (firstn (length ys) (adv ys)) = 0).
    { rewrite firstn_all2; [now apply adv_zero_sum|]. rewrite (adv_length ys Hy). destruct Hy as [<- _]; lia. }
    rewrite Z. ring.
  - unfold group'; apply EG_ext; intros; ring.
Qed.

Lemma EG_pos : 0 < INR G.
Proof. apply lt_0_INR; lia. Qed.

Lemma fisher_moment : forall x b, E Q x (fun k => (score Q x b k)^2) = fisher Q x b.
Proof. reflexivity. Qed.

(** E (A . t)^2 <= G (G - 1) v^T F v. *)
Lemma paired_moment : forall x b, EG G x (fun ys => (paired (adv ys) (score Q x b) ys)^2) <= INR G * ((INR G - 1) * fisher Q x b).
Proof.
  intros x b. pose proof EG_pos as Gp. set (t := score Q x b).
  apply Rle_trans with (EG G x (fun ys => INR G * (total_of (fun k => (t k)^2) ys + - / INR G * (total_of t ys)^2))).
  - apply EG_le; intros ys Hy. pose proof (adv_length ys Hy) as La. destruct Hy as [Ly Fy]. assert (Hy : sample G ys) by (split; auto).
    set (c := total_of t ys / INR (length ys)).
    assert (L : length (adv ys) = length ys) by lia.
    assert (Sh : paired (adv ys) t ys = paired (adv ys) (fun k => t k - c) ys) by (rewrite paired_shift, adv_zero_sum by auto; ring).
    rewrite Sh. eapply Rle_trans; [apply paired_cs; auto|].
    unfold c; rewrite deviation by lia. rewrite Ly.
    assert (N0 : 0 <= total_of (fun k => (t k)^2) ys - (total_of t ys)^2 / INR G).
    { rewrite <- Ly, <- deviation by lia. apply (squares_nonneg (fun k => t k - total_of t ys / INR (length ys))). }
    replace (total_of (fun k => (t k)^2) ys + - / INR G * (total_of t ys)^2) with (total_of (fun k => (t k)^2) ys - (total_of t ys)^2 / INR G) by (unfold Rdiv; ring).
    apply Rmult_le_compat_r; auto.
  - rewrite EG_scal. apply Rmult_le_compat_l; [lra|].
    rewrite EG_plus, EG_scal, EG_squares, EG_total2 by (apply (score_mean Q VQ)).
    apply Req_le. unfold t; rewrite fisher_moment. field; lra.
Qed.

Lemma group'_bound : forall e s x b c, (e = 1 \/ e = -1) -> 0 < s ->
  e * group' b c x <= / 2 * (s * (INR G - 1) * fisher Q x b + fisher Q x c / s).
Proof.
  intros e s x b c He Hs. pose proof EG_pos as Gp. unfold group'. rewrite <- EG_scal.
  apply Rle_trans with (EG G x (fun ys => (/ (2 * INR G) * s) * (paired (adv ys) (score Q x b) ys)^2
     + (/ (2 * INR G) * / s) * (total_of (score Q x c) ys)^2)).
  - apply EG_le; intros ys Hy. set (p := paired _ _ _). set (w := total_of _ _).
    assert (Y : e * (p * w) <= / 2 * (s * p^2 + / s * w^2)).
    { apply Rmult_le_reg_l with (2 * s); [lra|].
      replace (2 * s * (/ 2 * (s * p^2 + / s * w^2))) with ((s * p)^2 + w^2) by (field; lra).
      pose proof (pow2_ge_0 (s * p - w)). pose proof (pow2_ge_0 (s * p + w)). destruct He as [-> | ->]; nra. }
    apply Rmult_le_compat_l with (r := / INR G) in Y; [|left; now apply Rinv_0_lt_compat].
    replace (/ (2 * INR G) * s * p^2 + / (2 * INR G) * / s * w^2) with (/ INR G * (/ 2 * (s * p^2 + / s * w^2))) by (field; lra). lra.
  - rewrite EG_plus, !EG_scal, EG_total2 by (apply (score_mean Q VQ)). rewrite fisher_moment.
    pose proof (paired_moment x b) as PM.
    apply Rmult_le_compat_l with (r := / (2 * INR G) * s) in PM; [|apply Rmult_le_pos; [left; apply Rinv_0_lt_compat; lra|lra]].
    eapply Rle_trans; [apply Rplus_le_compat_r; exact PM|]. apply Req_le; field; lra.
Qed.

Lemma root_pos : 0 < sqrt (INR G - 1).
Proof.
  apply sqrt_lt_R0. assert (2 <= INR G) by (replace 2 with (INR 2) by (simpl; ring); now apply le_INR). lra.
Qed.

(** C32: both sides, the constant sqrt(G - 1). *)
Theorem C32_curvature : forall x v, Rabs (group' v v x) <= sqrt (INR G - 1) * fisher Q x v.
Proof.
  intros x v. pose proof root_pos as R0.
  assert (A : forall e, (e = 1 \/ e = -1) -> e * group' v v x <= sqrt (INR G - 1) * fisher Q x v).
  { intros e He. eapply Rle_trans; [apply (group'_bound e (/ sqrt (INR G - 1)) x v v He); now apply Rinv_0_lt_compat|].
    apply Req_le. assert (Sq : sqrt (INR G - 1) * sqrt (INR G - 1) = INR G - 1).
    { apply sqrt_sqrt. assert (2 <= INR G) by (replace 2 with (INR 2) by (simpl; ring); now apply le_INR). lra. }
    set (r := sqrt (INR G - 1)) in *. rewrite <- Sq. field; lra. }
  pose proof (A 1 (or_introl eq_refl)). pose proof (A (-1) (or_intror eq_refl)). apply Rabs_le; lra.
Qed.

Lemma group_linear : forall x, linear m (fun b => group b x).
Proof.
  intros x; split; unfold group; intros.
  - rewrite <- EG_scal, <- EG_plus; apply EG_ext; intros ys Hy.
    assert (L : forall e zs, paired e (score Q x (fun k => a k + s * b k)) zs = paired e (score Q x a) zs + s * paired e (score Q x b) zs).
    { induction e as [|r e IH]; intros [|k zs]; simpl; try ring. rewrite IH, score_combine; ring. }
    rewrite L; ring.
  - apply EG_ext; intros ys [_ Fy]. f_equal. generalize (adv ys) as e. induction Fy as [|k ys Hk Fy IH]; intros [|r e]; simpl; auto.
    rewrite IH, (score_reads Q x a b H k Hk); reflexivity.
Qed.
End Group.

(** Over a problem: one advantage rule for each prompt. *)
Definition group_field (P : problem) (G : nat) (adv : nat -> list nat -> list R) : field := {|
  fld := fun x => group (prompt_at P x) G (adv x); fld' := fun x => group' (prompt_at P x) G (adv x) |}.

Theorem C32 : forall P, valid P -> forall G adv, (2 <= G)%nat ->
  (forall x ys, (x < prompts P)%nat -> sample (prompt_at P x) G ys ->
    length (adv x ys) = G /\ list_sum (adv x ys) = 0 /\ list_sum2 (adv x ys) <= INR G) ->
  forall gamma, sqrt (INR G - 1) < gamma ->
  let W := field_at P (field_with_KL P (group_field P G adv) gamma) in
  strongly_monotone (dim P) (in_C P) W (modulus P (sqrt (INR G - 1)) gamma) /\
  exists x, solution (dim P) (in_C P) W x /\ forall y, solution (dim P) (in_C P) W y -> same (dim P) x y.
Proof.
  intros P VP G adv HG HA gamma Hg W.
  assert (VF : valid_field P (group_field P G adv)).
  { constructor; intros x Hx; simpl; intros.
    - apply (group_derive (prompt_at P x) (prompt_valid P VP x Hx) G (adv x)); auto; intros ys Hy; apply (HA x ys Hx Hy).
    - apply (group_linear (prompt_at P x) (prompt_valid P VP x Hx) G (adv x)). }
  assert (HB : field_bounded P (group_field P G adv) (sqrt (INR G - 1)) (INR G)).
  { intros x th Hx Hth; simpl. pose proof (prompt_valid P VP x Hx) as VQ. set (Q := prompt_at P x) in *.
    assert (A1 := fun ys Hy => proj1 (HA x ys Hx Hy)). assert (A2 := fun ys Hy => proj1 (proj2 (HA x ys Hx Hy))).
    assert (A3 := fun ys Hy => proj2 (proj2 (HA x ys Hx Hy))). split.
    - intros v. pose proof (C32_curvature Q VQ G (adv x) HG A1 A2 A3 (logit P th x) v) as C. apply Rabs_le_between in C. lra.
    - intros s v w Hs.
      pose proof (group'_bound Q VQ G (adv x) HG A1 A2 A3 1 s (logit P th x) v w (or_introl eq_refl) Hs) as B1.
      pose proof (group'_bound Q VQ G (adv x) HG A1 A2 A3 (-1) s (logit P th x) v w (or_intror eq_refl) Hs) as B2.
      assert (G2 : 2 <= INR G) by (replace 2 with (INR 2) by (simpl; ring); now apply le_INR).
      pose proof (fisher_nonneg Q VQ (logit P th x) v) as f1. pose proof (fisher_nonneg Q VQ (logit P th x) w) as f2.
      assert (0 <= fisher Q (logit P th x) w / s) by (apply Rmult_le_pos; [auto|left; now apply Rinv_0_lt_compat]).
      assert (0 <= s * fisher Q (logit P th x) v) by (apply Rmult_le_pos; lra).
      apply Rabs_le; split; nra. }
  split.
  - exact (threshold_monotone P VP _ VF _ _ gamma HB Hg).
  - exact (threshold_solution P VP _ VF _ _ gamma HB Hg).
Qed.
