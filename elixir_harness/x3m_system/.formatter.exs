[
  inputs: ["mix.exs", ".formatter.exs", "lib/**/*.ex"],
  locals_without_parens: [service: 2, service: 3, servicep: 2, servicep: 3],
  export: [locals_without_parens: [service: 2, service: 3, servicep: 2, servicep: 3]]
]
