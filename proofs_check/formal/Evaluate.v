(** Evaluating the definitions on concrete rational data, by interval arithmetic inside Coq. *)
Require Import Reals Lra Lia List.
From Coquelicot Require Import Coquelicot.
From Sail Require Import Numbers Sums Vectors Sigmoid Prompt Derivatives C01_gradient C02_hessian C07_kl_hessian Problem Objectives.
Open Scope R_scope.

(** Unfold every definition down to +, *, /, exp and ln of numbers. *)
Ltac unfold_numbers := cbv beta iota zeta delta
  [Sum dot norm2 vsub vadd vscal nth total gradient hessian curvature mean_J mean_KL fisher_form J_gamma regularised sail val val' val''
   logit prompt_at dim prompts weight size feature measure preference temperature reference center radius
   responses base pref ref beta J J' J'' KL KL' value payoff slope u margin minus_score plus_score score fisher fisher2
   log_pi pi partition E E2 log_sigma sigma sigma'].
Ltac numbers := unfold_numbers; interval with (i_prec 60).
