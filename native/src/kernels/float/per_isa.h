/* per_isa.h: names for functions that are compiled once for each ISA. */
#ifndef DP_PER_ISA_H
#define DP_PER_ISA_H

#define DP_JOIN_(name, isa) name##_##isa
#define DP_JOIN(name, isa) DP_JOIN_(name, isa)

/* dp_gate_f32 becomes dp_gate_f32_avx2 where DP_ISA is avx2. */
#define DP_PER_ISA(name) DP_JOIN(name, DP_ISA)

#endif
