package dev.zeusd.cli;

import java.util.Map;

/** Who watches over the daemon, and starts it anew when it fails. */
final class ServiceManager {
  private ServiceManager() {}

  /**
   * Whether there is one: systemd, something else that speaks its protocol, or Kubernetes.
   *
   * <p>What a service starts inherits these variables, a shell of the desktop for one; systemd
   * (from 248 on) also says which process it started itself.
   */
  static boolean watches(Map<String, String> environment, long pid) {
    boolean systemd =
        environment.containsKey("INVOCATION_ID") || environment.containsKey("NOTIFY_SOCKET");
    String startedBySystemd = environment.getOrDefault("SYSTEMD_EXEC_PID", String.valueOf(pid));
    return systemd && startedBySystemd.equals(String.valueOf(pid))
        || environment.containsKey("KUBERNETES_SERVICE_HOST");
  }
}
