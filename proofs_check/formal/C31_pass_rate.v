(** C31. Rewards of 0 and 1, V = E_pi r the pass rate, an objective f(V) with f' = g and f'' = g1. Where
    0 <= g and (1 - V) g falls, and V g rises,

      -V g F <= Hess f(V) <= (1 - V) g F,

    so that K = sup (1 - V) g and K^- = sup V g are valid in C12, C13 and C15. GRPO's f is of this kind. *)
Require Import Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
From Sail Require Import Sums Vectors Prompt Derivatives Ascent Problem Objectives C12_strong_concavity C13_pl C15_projected_ascent
  C30_reward.
Open Scope R_scope.

Section OnePrompt.
Variable Q : prompt.
Hypothesis VQ : valid_prompt Q.
Variable r : nat -> R.
Notation m := (responses Q).
Hypothesis binary : forall k, (k < m)%nat -> r k = 0 \/ r k = 1.

Variables f g g1 : R -> R.
Hypothesis f_derive : forall v, is_derive f v (g v).
Hypothesis g_derive : forall v, is_derive g v (g1 v).

Definition rate (x : nat -> R) : R := f (reward Q r x).
Definition rate' (b x : nat -> R) : R := g (reward Q r x) * reward' Q r b x.
Definition rate'' (b c x : nat -> R) : R :=
  g (reward Q r x) * reward'' Q r b c x + g1 (reward Q r x) * reward' Q r b x * reward' Q r c x.

Theorem rate_derive : forall x b t, is_derive (fun t => rate (line x b t)) t (rate' b (line x b t)).
Proof.
  intros; unfold rate, rate'; evar_last.
  - apply (is_derive_comp f (fun t => reward Q r (line x b t))); [apply f_derive|apply (reward_derive Q VQ)].
  - unfold scal; simpl; unfold mult; simpl; ring.
Qed.

Theorem C31_hessian : forall x b c t, is_derive (fun t => rate' b (line x c t)) t (rate'' b c (line x c t)).
Proof.
  intros; unfold rate', rate''; evar_last.
  - apply (is_derive_mult (fun t => g (reward Q r (line x c t))) (fun t => reward' Q r b (line x c t))).
    + apply (is_derive_comp g (fun t => reward Q r (line x c t))); [apply g_derive|apply (reward_derive Q VQ)].
    + apply (C30_hessian Q VQ).
    + intros; apply Rmult_comm.
  - unfold scal, plus, mult; simpl; unfold mult, plus; simpl; ring.
Qed.

(** Cauchy-Schwarz within the responses that an indicator h chooses. *)
Lemma chosen_cs : forall (h : nat -> R) x b, (forall k, (k < m)%nat -> h k = 0 \/ h k = 1) ->
  (E Q x (fun k => h k * score Q x b k))^2 <= E Q x h * E Q x (fun k => h k * (score Q x b k)^2).
Proof.
  intros h x b Hh. set (w := fun k => sqrt (pi Q x k) * h k).
  assert (W : forall k, (k < m)%nat -> sqrt (pi Q x k) * sqrt (pi Q x k) = pi Q x k).
  { intros; apply sqrt_sqrt; apply Rlt_le; now apply (pi_pos Q VQ). }
  pose proof (Sum_cs m w (fun k => sqrt (pi Q x k) * h k * score Q x b k)) as H. unfold E.
  assert (A : Sum m (fun k => w k * (sqrt (pi Q x k) * h k * score Q x b k)) = Sum m (fun k => pi Q x k * (h k * score Q x b k))).
  { apply Sum_ext; intros k Hk; unfold w. pose proof (W k Hk) as W0. set (z := sqrt (pi Q x k)) in *. rewrite <- W0. destruct (Hh k Hk) as [->| ->]; ring. }
  assert (B : Sum m (fun k => w k ^ 2) = Sum m (fun k => pi Q x k * h k)).
  { apply Sum_ext; intros k Hk; unfold w. pose proof (W k Hk) as W0. set (z := sqrt (pi Q x k)) in *. rewrite <- W0. destruct (Hh k Hk) as [->| ->]; ring. }
  assert (C : Sum m (fun k => (sqrt (pi Q x k) * h k * score Q x b k) ^ 2) = Sum m (fun k => pi Q x k * (h k * (score Q x b k)^2))).
  { apply Sum_ext; intros k Hk. pose proof (W k Hk) as W0. set (z := sqrt (pi Q x k)) in *. rewrite <- W0. destruct (Hh k Hk) as [->| ->]; ring. }
  cbv beta in H. rewrite A, B, C in H; exact H.
Qed.

Lemma rate_range : forall x, 0 <= reward Q r x <= 1.
Proof. intros; apply (reward_range Q VQ); intros k Hk; destruct (binary k Hk) as [->| ->]; lra. Qed.

Hypothesis g_nonneg : forall v, 0 <= v <= 1 -> 0 <= g v.
Hypothesis upper_falls : forall v, 0 <= v <= 1 -> (1 - v) * g1 v <= g v.
Hypothesis lower_rises : forall v, 0 <= v <= 1 -> - g v <= v * g1 v.

Theorem C31_upper : forall x v, rate'' v v x <= (1 - reward Q r x) * g (reward Q r x) * fisher Q x v.
Proof.
  intros x v. set (V := reward Q r x). assert (HV : 0 <= V <= 1) by apply rate_range.
  set (h := fun k => 1 - r k). set (A := E Q x (fun k => h k * score Q x v k)).
  set (B := E Q x (fun k => h k * (score Q x v k)^2)).
  assert (Hh : forall k, (k < m)%nat -> h k = 0 \/ h k = 1) by (intros k Hk; unfold h; destruct (binary k Hk) as [->| ->]; [right|left]; ring).
  assert (Eh : E Q x h = 1 - V).
  { unfold h, V, reward; rewrite E_minus, (E_const Q VQ); reflexivity. }
  assert (D : reward' Q r v x = - A).
  { unfold A, reward', h. rewrite (E_ext Q x (fun k => (1 - r k) * score Q x v k) (fun k => score Q x v k - r k * score Q x v k)) by (intros; ring).
    rewrite E_minus. pose proof (score_mean Q VQ x v) as M. unfold E in M |- *. lra. }
  assert (S : reward'' Q r v v x = (1 - V) * fisher Q x v - B).
  { unfold B, reward'', fisher, h. fold V. rewrite <- E_scal, <- E_minus. apply E_ext; intros; ring. }
  pose proof (chosen_cs h x v Hh) as H. fold A B in H. rewrite Eh in H.
  assert (B0 : 0 <= B).
  { unfold B; rewrite <- (E_const Q VQ x 0); apply (E_le Q VQ); intros k Hk.
    pose proof (pow2_ge_0 (score Q x v k)); destruct (Hh k Hk) as [->| ->]; lra. }
  pose proof (g_nonneg V HV) as G0. pose proof (upper_falls V HV) as G1.
  unfold rate''. fold V. rewrite D, S.
  assert (T : g1 V * A^2 <= g V * B).
  { destruct (Rle_dec (g1 V) 0) as [N|N].
    - assert (g1 V * A^2 <= 0) by (pose proof (pow2_ge_0 A); nra). assert (0 <= g V * B) by (now apply Rmult_le_pos). lra.
    - apply Rle_trans with (g1 V * ((1 - V) * B)); [apply Rmult_le_compat_l; lra|].
      replace (g1 V * ((1 - V) * B)) with ((1 - V) * g1 V * B) by ring. apply Rmult_le_compat_r; assumption. }
  nra.
Qed.

Theorem C31_lower : forall x v, - (reward Q r x * g (reward Q r x)) * fisher Q x v <= rate'' v v x.
Proof.
  intros x v. set (V := reward Q r x). assert (HV : 0 <= V <= 1) by apply rate_range.
  set (A := E Q x (fun k => r k * score Q x v k)). set (B := E Q x (fun k => r k * (score Q x v k)^2)).
  assert (S : reward'' Q r v v x = B - V * fisher Q x v).
  { unfold B, reward'', fisher. fold V. rewrite <- E_scal, <- E_minus. apply E_ext; intros; ring. }
  pose proof (chosen_cs r x v binary) as H. fold A B in H. change (E Q x r) with V in H.
  assert (B0 : 0 <= B).
  { unfold B; rewrite <- (E_const Q VQ x 0); apply (E_le Q VQ); intros k Hk.
    pose proof (pow2_ge_0 (score Q x v k)); destruct (binary k Hk) as [->| ->]; lra. }
  pose proof (g_nonneg V HV) as G0. pose proof (lower_rises V HV) as G1.
  unfold rate''. fold V. change (reward' Q r v x) with A. rewrite S.
  assert (T : - (g V * B) <= g1 V * A^2).
  { destruct (Rle_dec 0 (g1 V)) as [N|N].
    - assert (0 <= g1 V * A^2) by (apply Rmult_le_pos; [assumption|apply pow2_ge_0]). assert (0 <= g V * B) by (now apply Rmult_le_pos). lra.
    - assert (- g1 V * A^2 <= - g1 V * (V * B)) by (apply Rmult_le_compat_l; lra).
      assert (- (V * g1 V) * B <= g V * B) by (apply Rmult_le_compat_r; lra). nra. }
  nra.
Qed.
End OnePrompt.

(** Pass rates over a problem: r x k says whether response k to prompt x is correct. *)
Definition pass_rates (P : problem) (f g g1 : R -> R) (r : nat -> nat -> R) : objective := {|
  val := fun x => rate (prompt_at P x) (r x) f; val' := fun x => rate' (prompt_at P x) (r x) g;
  val'' := fun x => rate'' (prompt_at P x) (r x) g g1 |}.

Theorem pass_rates_valid : forall P, valid P -> forall f g g1 r, (forall v, is_derive f v (g v)) -> (forall v, is_derive g v (g1 v)) ->
  valid_objective P (pass_rates P f g g1 r).
Proof.
  intros P VP f g g1 r Hf Hg; constructor; intros x Hx; simpl; intros.
  - apply rate_derive; [now apply prompt_valid|assumption].
  - apply C31_hessian; [now apply prompt_valid|assumption].
  - destruct (reward'_linear (prompt_at P x) (r x) a) as [L1 L2]; split; unfold rate'; intros.
    + rewrite L1; ring.
    + rewrite (L2 a0 b); auto.
  - destruct (reward'_linear (prompt_at P x) (r x) a) as [L1 L2]. destruct (reward''_linear (prompt_at P x) (r x) a c) as [M1 M2].
    split; unfold rate''; intros.
    + rewrite L1, M1; ring.
    + rewrite (L2 a0 b), (M2 a0 b); auto.
  - unfold rate''; rewrite (reward''_sym (prompt_at P x)); ring.
Qed.

Theorem C31_bounded : forall P, valid P -> forall f g g1 r K Km,
  (forall x k, (x < prompts P)%nat -> (k < size P x)%nat -> r x k = 0 \/ r x k = 1) ->
  (forall v, 0 <= v <= 1 -> 0 <= g v /\ (1 - v) * g1 v <= g v /\ - g v <= v * g1 v) ->
  (forall v, 0 <= v <= 1 -> (1 - v) * g v <= K /\ v * g v <= Km) ->
  bounded P (pass_rates P f g g1 r) K Km.
Proof.
  intros P VP f g g1 r K Km Hr Hg HK x th v Hx Hth; simpl. pose proof (prompt_valid P VP x Hx) as VQ.
  assert (B : forall k, (k < size P x)%nat -> r x k = 0 \/ r x k = 1) by (intros; now apply Hr).
  assert (G0 : forall v, 0 <= v <= 1 -> 0 <= g v) by (intros; now apply Hg).
  assert (G1 : forall v, 0 <= v <= 1 -> (1 - v) * g1 v <= g v) by (intros; now apply Hg).
  assert (G2 : forall v, 0 <= v <= 1 -> - g v <= v * g1 v) by (intros; now apply Hg).
  set (Q := prompt_at P x) in *.
  pose proof (C31_upper Q VQ (r x) B g g1 G0 G1 (logit P th x) (logit P v x)) as U.
  pose proof (C31_lower Q VQ (r x) B g g1 G0 G2 (logit P th x) (logit P v x)) as L.
  pose proof (rate_range Q VQ (r x) B (logit P th x)) as V.
  destruct (HK _ V) as [K1 K2]. pose proof (fisher_nonneg Q VQ (logit P th x) (logit P v x)) as F. split; nra.
Qed.

(** gamma above sup (1 - V) f': one maximiser, and projected ascent converges at the rate of C15. *)
Theorem C31 : forall P, valid P -> forall f g g1 r K Km gamma,
  (forall v, is_derive f v (g v)) -> (forall v, is_derive g v (g1 v)) ->
  (forall x k, (x < prompts P)%nat -> (k < size P x)%nat -> r x k = 0 \/ r x k = 1) ->
  (forall v, 0 <= v <= 1 -> 0 <= g v /\ (1 - v) * g1 v <= g v /\ - g v <= v * g1 v) ->
  (forall v, 0 <= v <= 1 -> (1 - v) * g v <= K /\ v * g v <= Km) -> K < gamma ->
  let o := pass_rates P f g g1 r in
  let F := total P (regularised P o gamma) in let grad := gradient P (regularised P o gamma) in
  let mu := modulus P K gamma in let Lam := smoothness P Km gamma in
  strongly_concave (dim P) (in_C P) F grad mu /\
  (exists best, maximiser (in_C P) F best /\ forall other, maximiser (in_C P) F other -> same (dim P) best other) /\
  forall (th : nat -> vec) q, in_C P (th O) -> in_C P q ->
    (forall k, projected_step (dim P) (in_C P) grad Lam (th k) (th (S k))) ->
    forall k, F q - F (th k) <= (1 - mu / Lam)^k * (F q - F (th O)).
Proof.
  intros P VP f g g1 r K Km gamma Hf Hg Hr H HK Hgamma o F grad mu Lam.
  pose proof (pass_rates_valid P VP f g g1 r Hf Hg) as VO. pose proof (C31_bounded P VP f g g1 r K Km Hr H HK) as HB. repeat split.
  - exact (C12_general P VP _ VO _ _ gamma HB Hgamma).
  - exact (C13_maximiser P VP _ VO _ _ gamma HB Hgamma).
  - exact (C15_general P VP _ VO _ _ gamma HB Hgamma).
Qed.
