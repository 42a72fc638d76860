package dev.zeusd.ffm.posix;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;

/** Binds functions of libc. */
final class Libc {
  /** {@code int f(int)}: one signature for all that have it, which is linked but once. */
  static final FunctionDescriptor INT_OF_INT = FunctionDescriptor.of(JAVA_INT, JAVA_INT);

  private static final Linker LINKER = Linker.nativeLinker();
  private static final SymbolLookup SYMBOLS = LINKER.defaultLookup();

  private Libc() {}

  @SuppressWarnings("restricted")
  static MethodHandle function(String name, FunctionDescriptor type, Linker.Option... options) {
    MemorySegment symbol =
        SYMBOLS.find(name).orElseThrow(() -> new UnsupportedOperationException("no " + name));
    return LINKER.downcallHandle(symbol, type, options);
  }

  /** What a call that cannot throw has thrown all the same. */
  static IllegalStateException unexpected(Throwable e) {
    return new IllegalStateException("a call of libc failed", e);
  }
}
