const document = (plugin: string, configuration: string): string =>
  `apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins:\n  - name: ${plugin}\n    configuration: ${configuration}\n`;

/** `text` is what both say, quotes bare. */
export const refusedStarts: readonly {
  readonly name: string;
  readonly args: readonly string[];
  readonly file?: string;
  readonly text: string;
}[] = [
  {
    name: 'a plugin that is gone',
    args: ['--enable-admission-plugins=SecurityContextDeny'],
    text: 'enable-admission-plugins plugin "SecurityContextDeny" is unknown',
  },
  {
    name: 'an unknown plugin off',
    args: ['--disable-admission-plugins=Nonsense'],
    text: 'disable-admission-plugins plugin "Nonsense" is unknown',
  },
  {
    name: 'on and off',
    args: [
      '--enable-admission-plugins=PodSecurity,AlwaysAdmit',
      '--disable-admission-plugins=PodSecurity,AlwaysAdmit',
    ],
    text: '[AlwaysAdmit PodSecurity] in enable-admission-plugins and disable-admission-plugins overlapped',
  },
  {
    name: 'both ways of naming plugins',
    args: ['--admission-control=AlwaysAdmit', '--enable-admission-plugins=AlwaysAdmit'],
    text: 'admission-control and enable-admission-plugins/disable-admission-plugins flags are mutually exclusive',
  },
  {
    name: 'ImagePolicyWebhook without a configuration',
    args: ['--enable-admission-plugins=ImagePolicyWebhook'],
    text: `couldn't init admission plugin "ImagePolicyWebhook": no config specified`,
  },
  {
    name: 'EventRateLimit without a configuration',
    args: ['--enable-admission-plugins=EventRateLimit'],
    text: `couldn't init admission plugin "EventRateLimit": limits: Invalid value: null: must not be empty`,
  },
  {
    name: 'a limit of nothing',
    args: ['--enable-admission-plugins=EventRateLimit'],
    file: document(
      'EventRateLimit',
      '{apiVersion: eventratelimit.admission.k8s.io/v1alpha1, kind: Configuration, limits: [{type: User, qps: 0, burst: 1}]}',
    ),
    text: `couldn't init admission plugin "EventRateLimit": limits[0].qps: Invalid value: 0: must be positive`,
  },
  {
    name: 'an unknown level',
    args: [],
    file: document(
      'PodSecurity',
      '{apiVersion: pod-security.admission.config.k8s.io/v1, kind: PodSecurityConfiguration, defaults: {enforce: strict}}',
    ),
    text: 'failed to initialize admission plugin "PodSecurity": PodSecurity configuration error: enforce: must be one of privileged, baseline, restricted',
  },
  {
    name: 'static manifests, an alpha feature',
    args: [],
    file: document(
      'ValidatingAdmissionWebhook',
      '{apiVersion: apiserver.config.k8s.io/v1, kind: WebhookAdmissionConfiguration, staticManifestsDir: /tmp}',
    ),
    text: 'staticManifestsDir: Forbidden: staticManifestsDir requires the ManifestBasedAdmissionControlConfig feature gate to be enabled',
  },
  {
    name: 'a relative kubeconfig for webhooks',
    args: [],
    file: document(
      'MutatingAdmissionWebhook',
      '{apiVersion: apiserver.config.k8s.io/v1, kind: WebhookAdmissionConfiguration, kubeConfigFile: here.yaml}',
    ),
    text: `couldn't init admission plugin "MutatingAdmissionWebhook": kubeConfigFile: Invalid value: "here.yaml": must be an absolute file path`,
  },
];
