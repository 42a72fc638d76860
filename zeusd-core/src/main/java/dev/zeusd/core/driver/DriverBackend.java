package dev.zeusd.core.driver;

import dev.zeusd.core.Backend;
import dev.zeusd.core.Node;
import dev.zeusd.core.NodeException;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.ffm.driver.DriverException;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeoutException;
import java.util.function.BooleanSupplier;

/**
 * Finds GPUs by the library of their vendor: when a node opens if that is quick, and else when the
 * library has answered.
 *
 * @param <G> its GPUs
 */
public abstract class DriverBackend<G extends DriverGpus> implements Backend<Gpu> {
  private static final System.Logger LOG = System.getLogger(Node.class.getName());

  /** Enough where the driver is awake; many GPUs that nobody uses take up to 20 s. */
  private static final Duration QUICK = Duration.ofMillis(500);

  /** The same where a node without the library is an error that had better be told at once. */
  private static final Duration QUICK_IF_NEEDED = Duration.ofSeconds(2);

  private static final Duration PATIENT = Duration.ofSeconds(30);

  /**
   * Words for people.
   *
   * @param library its name
   * @param gpus what it finds
   * @param goingOnWithout what a node has not got while the library has not answered
   */
  public record Words(String library, String gpus, String goingOnWithout) {}

  private final Words words;
  private final Optional<Duration> idleRelease;
  private final boolean isNeeded;
  private final Opener<G> opener;

  /** Set with the lock on this held, and not after the close. */
  private volatile Optional<G> found = Optional.empty();

  /** Why there are none, as of the last look. */
  private volatile List<String> problems = List.of();

  /** Why the library is not usable, as of the last look. */
  private volatile Optional<DriverException> failure = Optional.empty();

  /** Whether it must not let go of the driver by itself. */
  private volatile BooleanSupplier isKept = () -> false;

  /** Guarded by this. */
  private boolean closed;

  /**
   * Looks for nothing yet.
   *
   * @param source opens the library
   * @param idleRelease after what time without calls to let go of the driver
   * @param isNeeded whether a node without the library is an error
   */
  protected DriverBackend(
      Words words, Question<G> source, Optional<Duration> idleRelease, boolean isNeeded) {
    this.words = words;
    this.idleRelease = idleRelease;
    this.isNeeded = isNeeded;
    this.opener = new Opener<>(words.library(), source);
  }

  /**
   * Finds those that there are, if the library answers soon; else {@link #isOpening} holds. If this
   * throws, it is closed.
   *
   * @throws NodeException if the library is needed, and not usable
   */
  protected final void findFirst() {
    try {
      find(isNeeded ? QUICK_IF_NEEDED : QUICK);
    } catch (TimeoutException e) {
      LOG.log(
          System.Logger.Level.INFO,
          words.library() + " has not answered yet: going on without " + words.goingOnWithout());
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
  }

  private void find(Duration wait) throws TimeoutException {
    try {
      G opened = opener.open(wait);
      failure = Optional.empty();
      listFirst(opened);
      String origin = " by " + opened.description();
      List<Gpu> gpus = opened.gpus();
      if (gpus.isEmpty()) {
        // Only a library that is initialised anew sees what comes later.
        opened.close();
        problems = List.of("no GPUs" + origin);
        return;
      }
      LOG.log(System.Logger.Level.INFO, gpus.size() + " GPU(s)" + origin);
      idleRelease.ifPresent(idle -> opened.idle().whenIdleFor(idle, () -> isKept.getAsBoolean()));
      keep(opened);
    } catch (DriverException e) {
      if (isNeeded) {
        throw new NodeException(words.library() + " is not usable: " + e.getMessage(), e);
      }
      failure = Optional.of(e);
      problems = List.of("no " + words.gpus() + ": " + e.getMessage());
    }
  }

  /** Has them listed if they are not. */
  protected void listFirst(G opened) {}

  private synchronized void keep(G opened) {
    if (closed) {
      opened.close();
    } else {
      found = Optional.of(opened);
      problems = List.of();
    }
  }

  /** Why the library is not usable, as of the last look. */
  protected final Optional<DriverException> failure() {
    return failure;
  }

  @Override
  public final List<Gpu> devices() {
    return found.map(DriverGpus::gpus).orElse(List.of());
  }

  /** Until there are some, and after a reload of the driver. */
  @Override
  public final boolean mayHaveMore() {
    return found.map(DriverGpus::mayHaveMore).orElse(true);
  }

  @Override
  public final void lookForMore() {
    try {
      if (found.isPresent()) {
        found.get().lookForMore();
      } else {
        find(PATIENT);
      }
    } catch (TimeoutException e) {
      problems = List.of(notYet());
    } catch (DriverException e) {
      LOG.log(System.Logger.Level.DEBUG, "new GPUs cannot be looked for: {0}", e.getMessage());
    }
  }

  private String notYet() {
    return "no %s: %s has not answered yet; if it stays so, the driver hangs"
        .formatted(words.gpus(), words.library());
  }

  /** Whether the library has not answered so far, so that it has to be waited for. */
  @Override
  public final boolean isOpening() {
    return opener.isOpening();
  }

  @Override
  public final List<String> problems() {
    return isOpening() ? List.of(notYet()) : problems;
  }

  @Override
  public final void keepOpenWhile(BooleanSupplier isNeeded) {
    isKept = isNeeded;
  }

  @Override
  public final boolean release() {
    return found.map(gpus -> gpus.idle().now()).orElse(true);
  }

  @Override
  public final void close() {
    opener.close();
    Optional<G> last;
    synchronized (this) {
      closed = true;
      last = found;
    }
    last.ifPresent(DriverGpus::close);
  }
}
