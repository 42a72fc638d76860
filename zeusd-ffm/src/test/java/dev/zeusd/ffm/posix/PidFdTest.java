package dev.zeusd.ffm.posix;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.time.Duration;
import java.util.Optional;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class PidFdTest {
  private static final Duration LONG = Duration.ofSeconds(30);

  private static Process sleeper() throws IOException {
    return new ProcessBuilder("sleep", "60").start();
  }

  @Test
  void endsAreToldOnceForEachAndAlsoIfTheyCameBefore() throws Exception {
    Process first = sleeper();
    Process second = sleeper();
    try (PidFd one = PidFd.open(first.pid()).orElseThrow();
        PidFd two = PidFd.open(second.pid()).orElseThrow();
        ProcessEnds ends = new ProcessEnds()) {
      ends.add(one, 1);
      assertEquals(OptionalLong.empty(), ends.await(Duration.ofMillis(20)));
      first.destroyForcibly();
      assertEquals(OptionalLong.of(1), ends.await(LONG));
      second.destroyForcibly().waitFor();
      ends.add(two, -2);
      assertEquals(OptionalLong.of(-2), ends.await(LONG));
      assertEquals(OptionalLong.empty(), ends.await(Duration.ofMillis(20)));
    } finally {
      first.destroyForcibly();
      second.destroyForcibly();
    }
  }

  @Test
  void aNumberStandsForOneProcessOnly() throws Exception {
    Process process = sleeper();
    try (PidFd one = PidFd.open(process.pid()).orElseThrow();
        PidFd same = PidFd.open(process.pid()).orElseThrow();
        PidFd own = PidFd.open(ProcessHandle.current().pid()).orElseThrow()) {
      assertEquals(process.pid(), one.pid());
      assertEquals(one.inode(), same.inode());
      assertEquals(one.startTicks(), same.startTicks());
      assertTrue(one.startTicks() >= own.startTicks());
      assertTrue(own.startTicks() > 0);
    } finally {
      process.destroyForcibly().waitFor();
    }
    assertEquals(Optional.empty(), PidFd.open(process.pid()));
  }

  /** As on a kernel that tells only the number of who has connected. */
  @Test
  void aProcessThatIsYoungerThanTheConnectionHasNotConnectedIt() throws Exception {
    Process process = sleeper();
    int pid = (int) process.pid();
    try {
      PidFd.ofPeer(pid, Duration.ZERO).close();
      assertThrows(IOException.class, () -> PidFd.ofPeer(pid, LONG));
      PidFd.ofPeer((int) ProcessHandle.current().pid(), Duration.ofMillis(100)).close();
    } finally {
      process.destroyForcibly().waitFor();
    }
    assertThrows(IOException.class, () -> PidFd.ofPeer(pid, Duration.ZERO));
    assertThrows(IOException.class, () -> PidFd.ofPeer(0, Duration.ZERO));
  }
}
