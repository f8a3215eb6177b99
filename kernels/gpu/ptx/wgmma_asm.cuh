// SPDX-License-Identifier: MIT
#pragma once
// The text of wgmma.mma_async for each N: an asm statement names every register of the accumulator
// in its string, so each N needs a list of its own. Lists are made by doubling.

#define CONVOY_D4(i) "+f"(d[i]), "+f"(d[(i) + 1]), "+f"(d[(i) + 2]), "+f"(d[(i) + 3])
#define CONVOY_D8(i) CONVOY_D4(i), CONVOY_D4((i) + 4)
#define CONVOY_D16(i) CONVOY_D8(i), CONVOY_D8((i) + 8)
#define CONVOY_D32(i) CONVOY_D16(i), CONVOY_D16((i) + 16)
#define CONVOY_D48(i) CONVOY_D32(i), CONVOY_D16((i) + 32)
#define CONVOY_D64(i) CONVOY_D32(i), CONVOY_D32((i) + 32)
#define CONVOY_D96(i) CONVOY_D64(i), CONVOY_D32((i) + 64)
#define CONVOY_D128(i) CONVOY_D64(i), CONVOY_D64((i) + 64)

#define CONVOY_R4 "%0, %1, %2, %3"
#define CONVOY_R8 CONVOY_R4 ", %4, %5, %6, %7"
#define CONVOY_R16 CONVOY_R8 ", %8, %9, %10, %11, %12, %13, %14, %15"
#define CONVOY_R32 \
  CONVOY_R16 ", %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define CONVOY_R48 \
  CONVOY_R32 ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47"
#define CONVOY_R64 \
  CONVOY_R48 ", %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define CONVOY_R96                                                                     \
  CONVOY_R64                                                                           \
  ", %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, " \
  "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95"
#define CONVOY_R128                                                                    \
  CONVOY_R96                                                                           \
  ", %96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, " \
  "%110, %111, %112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, "     \
  "%123, %124, %125, %126, %127"

// Both operands from shared memory. t0 to t4: the numbers of the operands behind the accumulator.
#define CONVOY_WGMMA_SHARED(n, r, type, t0, t1, t2, t3, t4)                                     \
  asm volatile("{\n.reg .pred add;\nsetp.ne.b32 add, %" #t2                                     \
               ", 0;\n"                                                                         \
               "wgmma.mma_async.sync.aligned.m64n" #n "k16.f32." type "." type " {" CONVOY_R##r \
               "}, %" #t0 ", %" #t1 ", add, 1, 1, %" #t3 ", %" #t4 ";\n}"                       \
               : CONVOY_D##r(0)                                                                 \
               : "l"(a), "l"(b), "r"(static_cast<int>(accumulate)),                             \
                 "n"(static_cast<int>(kMajorA)), "n"(static_cast<int>(kMajorB))                 \
               : "memory")

// The left one from registers. t0 to t6 likewise.
#define CONVOY_WGMMA_REGISTERS(n, r, type, t0, t1, t2, t3, t4, t5, t6)                          \
  asm volatile("{\n.reg .pred add;\nsetp.ne.b32 add, %" #t5                                     \
               ", 0;\n"                                                                         \
               "wgmma.mma_async.sync.aligned.m64n" #n "k16.f32." type "." type " {" CONVOY_R##r \
               "}, {%" #t0 ", %" #t1 ", %" #t2 ", %" #t3 "}, %" #t4 ", add, 1, 1, %" #t6 ";\n}" \
               : CONVOY_D##r(0)                                                                 \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b),                            \
                 "r"(static_cast<int>(accumulate)), "n"(static_cast<int>(kMajorB))              \
               : "memory")

// For each N that has a list: f(N, N / 2, and the numbers from there on).
#define CONVOY_WGMMA_SHAPES(f)                                                         \
  f(8, 4, 4, 5, 6, 7, 8, 9, 10) f(16, 8, 8, 9, 10, 11, 12, 13, 14)                     \
      f(32, 16, 16, 17, 18, 19, 20, 21, 22) f(64, 32, 32, 33, 34, 35, 36, 37, 38)      \
          f(96, 48, 48, 49, 50, 51, 52, 53, 54) f(128, 64, 64, 65, 66, 67, 68, 69, 70) \
              f(192, 96, 96, 97, 98, 99, 100, 101, 102)                                \
                  f(256, 128, 128, 129, 130, 131, 132, 133, 134)
