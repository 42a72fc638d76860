package dev.zeusd.cli;

import dev.zeusd.ffm.posix.UnixDatagramSocket;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Map;

/** Who watches over the daemon, and starts it anew when it fails. */
final class ServiceManager {
  private static final System.Logger LOG = System.getLogger("dev.zeusd");
  private static final String NOTIFY_SOCKET = "NOTIFY_SOCKET";

  private ServiceManager() {}

  /**
   * Whether there is one: systemd, something else that speaks its protocol, or Kubernetes.
   *
   * <p>What a service starts inherits these variables, a shell of the desktop for one; systemd
   * (from 248 on) also says which process it started itself.
   */
  static boolean watches(Map<String, String> environment, long pid) {
    boolean systemd =
        environment.containsKey("INVOCATION_ID") || environment.containsKey(NOTIFY_SOCKET);
    String startedBySystemd = environment.getOrDefault("SYSTEMD_EXEC_PID", String.valueOf(pid));
    return systemd && startedBySystemd.equals(String.valueOf(pid))
        || environment.containsKey("KUBERNETES_SERVICE_HOST");
  }

  /** Tells one that wants to know that the daemon serves from now on: sd_notify(3). */
  static void sayReady(Map<String, String> environment) {
    String socket = environment.getOrDefault(NOTIFY_SOCKET, "");
    if (socket.isEmpty()) {
      return;
    }
    try (UnixDatagramSocket manager = UnixDatagramSocket.connect(Path.of(socket))) {
      manager.send("READY=1".getBytes(StandardCharsets.US_ASCII));
    } catch (IOException e) {
      LOG.log(
          System.Logger.Level.WARNING,
          "the service manager cannot be told that the daemon serves: {0}",
          e.getMessage());
    }
  }
}
