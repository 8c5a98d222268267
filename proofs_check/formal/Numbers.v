(** The interval tactic over Coq's own binary integers: slower than over the processor's, and nothing but
    the kernel's reduction is trusted. *)
From Interval Require Export Tactic.
From Interval.Float Require Import Specific_stdz Specific_ops.

Module Floats := SpecificFloat StdZRadix2.
Module Exported := IntervalTactic Floats.
Export Exported.
